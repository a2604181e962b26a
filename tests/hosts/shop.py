"""The shop as a project of a fleet: images in its registry, services on its hosts, and the activities that change them."""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from activities.clients.engine import Engine
from activities.clients.engine_container import Container, ContainerToCreate
from activities.clients.health import Answer, HttpProbe
from activities.clients.hosts import Hosts
from activities.health import HealthActivities
from activities.hosts import HostActivities
from deploy.sandbox.images import Image as Built
from deploy.sandbox.images import ImageKind, build_image
from deploy.sandbox.images_push import push_image
from runbook.artifact_table import ArtifactTable, ManifestTable
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable
from runbook.service import (
    HealthToVerify,
    HealthyHost,
    HostToPutBack,
    RestoredHost,
    SwappedContainer,
    SwapToMake,
    WayBack,
    WayBackToRecord,
)
from tests.activities.performing import perform
from tests.epochs import epoch_of
from tests.hosts.fleet import Fleet
from tests.hosts.host import ENV_FILE, USER, Host
from tests.hosts.registries import Registry

NAME = "acme/shop"
SETTLE = timedelta(seconds=0.3)

_numbers = itertools.count(1)


@functools.cache
def _built(version: str, **how: Any) -> Built:
    return build_image(version, runtime="busybox", **how)


class Content:
    """A probe for tests of many swaps at once, where asking the services all the time would be all that is done."""

    async def look(self, url: str) -> Answer:
        return Answer(200, None, 0.0)


def ref(epoch: int, version: str = "1.1.0") -> ReleaseRef:
    return ReleaseRef(
        project="shop",
        version=version,
        workflow_id="release-shop",
        release=f"run-{epoch}",
        epoch=epoch_of(epoch),
        requested_by="alice",
    )


class Shop:
    """`hosts` is the worker's client; one for each test, as a worker has one."""

    def __init__(self, fleet: Fleet, registry: Registry, hosts: Hosts) -> None:
        self.fleet = fleet
        self.registry = registry
        self.hosts = hosts
        self.probe = HttpProbe()
        self.activities = HostActivities(hosts, self.probe, SETTLE)
        self.health = HealthActivities(self.probe, hosts, settled=2.0, pause=0.2)

    async def publish(self, version: str, kind: ImageKind = "good", *, revision: str = "", **how: Any) -> Image:
        """Under the tag of its commit too, where `revision` says one."""
        made = _built(version, kind=kind, revision=revision, **how)
        await push_image(self.registry.address, NAME, made, filter(None, [f"v{version}", revision]))
        return self.image(version, made.digest)

    def image(self, version: str, digest: str) -> Image:
        return Image(registry=self.registry.address, name=NAME, version=version, digest=digest)

    def artifact(self, **changes: Any) -> ArtifactTable:
        given = {
            "registry": self.registry.address,
            "image": NAME,
            "insecure": True,
            "manifest": ManifestTable(file="/nowhere"),
            "scan": ["true"],
        }
        return ArtifactTable.model_validate({**given, **changes})

    def environment(self, *hosts: Host, **changes: Any) -> EnvironmentTable:
        """A container name and port of its own, so that no test meets another one's service."""
        number = next(_numbers)
        given = {
            "hosts": [host.address for host in hosts],
            "port": 20000 + number,
            "container": f"shop{number}",
            "env_file": ENV_FILE,
            "health": "http://{host}:{port}/health",
            "version": "http://{host}:{port}/version",
            "stop_timeout": "5s",
            "health_deadline": "20s",
            "ssh": self.ssh(),
        }
        return EnvironmentTable.model_validate({**given, **changes})

    def ssh(self, **changes: Any) -> dict[str, Any]:
        key = f"file:{self.fleet.key}"
        return {"user": USER, "key": key, "known_hosts": str(self.fleet.known_hosts()), **changes}

    def unwatched(self, host: Host) -> "Service":
        """A service whose swaps do not measure how long it is away."""
        return Service(self, host, self.environment(host), HostActivities(self.hosts, Content(), SETTLE))

    def service(self, host: Host, **changes: Any) -> "Service":
        return Service(self, host, self.environment(host, **changes), self.activities)

    def services(self, hosts: Sequence[Host], **changes: Any) -> "list[Service]":
        """One service on several hosts, as one environment."""
        environment = self.environment(*hosts, **changes)
        return [Service(self, host, environment, self.activities) for host in hosts]


@dataclass
class Service:
    """One service on one host, changed by the activities as a worker performs them."""

    shop: Shop
    host: Host
    environment: EnvironmentTable
    activities: HostActivities

    def swap_order(self, image: Image, epoch: int, back: WayBack | None = None) -> SwapToMake:
        return SwapToMake(
            ref=ref(epoch, image.version),
            environment=self.environment,
            host=self.host.address,
            image=image,
            way_back=back,
        )

    def put_back_order(self, back: WayBack, epoch: int, failed: int) -> HostToPutBack:
        return HostToPutBack(
            ref=ref(epoch),
            environment=self.environment,
            host=self.host.address,
            way_back=back,
            artifact=self.shop.artifact(),
            failed_release=f"run-{failed}",
        )

    async def swap(self, image: Image, epoch: int, back: WayBack | None = None) -> SwappedContainer:
        return await perform(self.activities.swap, self.swap_order(image, epoch, back))

    async def put_back(self, back: WayBack, epoch: int, failed: int) -> RestoredHost:
        return await perform(self.activities.put_back, self.put_back_order(back, epoch, failed))

    async def way_back(self, epoch: int) -> WayBack:
        order = WayBackToRecord(
            ref=ref(epoch), environment=self.environment, host=self.host.address, artifact=self.shop.artifact()
        )
        return await perform(self.activities.record_way_back, order)

    async def healthy(self, image: Image, epoch: int, container_id: str | None = None) -> HealthyHost:
        order = HealthToVerify(
            ref=ref(epoch, image.version),
            environment=self.environment,
            host=self.host.address,
            image=image,
            container_id=container_id,
        )
        return await perform(self.shop.health.health, order)

    async def legacy(self, image: Image, restart: str = "unless-stopped") -> str:
        """What the runbook's own `docker run` leaves: the serving name, the image by tag, no labels. Its id."""
        engine = await self.engine()
        await engine.pull(image.repository, image.tag, None)
        by_tag = f"{image.repository}:{image.tag}"
        identity = await engine.create(self.container(image, image=by_tag, restart=restart))
        await engine.start(identity)
        return identity

    def container(self, of: Image, **changes: Any) -> ContainerToCreate:
        given = {"name": self.environment.container, "image": of.pinned, "labels": {}, "port": self.environment.port}
        return ContainerToCreate(**{**given, **changes})

    async def engine(self) -> Engine:
        return await self.shop.hosts.engine(self.environment, self.host.address)

    async def seen(self) -> dict[str, Container]:
        """Every container of this service, by its name."""
        base, found = self.environment.container, await (await self.engine()).containers()
        return {c.name: c for c in found if c.name == base or c.name.startswith(f"{base}-")}

    async def running(self) -> dict[str, tuple[str, str]]:
        """Name to (id, image id) of what runs: all that decides what is served."""
        return {name: (c.id, c.image_id) for name, c in (await self.seen()).items() if c.alive}

    async def serving(self) -> Container:
        return (await self.seen())[self.environment.container]

    async def version(self, within: float = 10) -> str:
        """What the service says it is, once it answers."""
        url = self.environment.version_url(self.host.address)
        async with asyncio.timeout(within), httpx.AsyncClient(trust_env=False, timeout=2) as http:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.get(url)
                    if answer.status_code == 200:
                        return str(answer.json()["version"])
                await asyncio.sleep(0.02)
