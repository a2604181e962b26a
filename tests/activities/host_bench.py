"""A host for tests: real SSH, an engine behind it, a registry with images of the shop, and one look at what is there."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import httpx

from activities.clients.engine import Engine
from activities.clients.engine_container import Container, ContainerToCreate
from activities.clients.engine_socket import dial
from activities.clients.hosts import Hosts
from activities.errors import StepError
from deploy.sandbox.engine import build_engine
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.engine_reference import ImageReference
from deploy.sandbox.hosts import Host, HostSettings
from deploy.sandbox.images import ImageKind, build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import serving
from runbook.artifact_table import ArtifactTable, ManifestTable
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable
from runbook.service import HostToPutBack, SwapToMake, WayBack
from tests.epochs import epoch_of

# Of this process alone: two test processes must not take each other's ports.
ADDRESS = f"127.7.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
ENV_FILE = "/etc/opt/shop/production.env"
DATABASE = "postgres://shop:hunter2@db/shop"
SETTLE = timedelta(seconds=0.15)
# For images that end at once: on a busy machine even that takes a while, and seen it ends the wait.
PATIENT = timedelta(seconds=4)
T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass
class Bench:
    folder: Path
    registry: str
    registry_app: Any
    engine_app: Any
    ssh: Host
    hosts: Hosts
    engine: Engine
    """Asked on the host itself; `hosts` has the same one by SSH."""

    def environment(self, container: str = "shop", **changes: Any) -> EnvironmentTable:
        """A container name of one's own is a service of one's own, with a port of its own."""
        given = {
            "hosts": [ADDRESS],
            "port": a_free_port(),
            "container": container,
            "env_file": ENV_FILE,
            "health": "http://{host}:{port}/health",
            "version": "http://{host}:{port}/version",
            "stop_timeout": "3s",
            "publish_on": ADDRESS,
            "ssh": {
                "user": "deploy",
                "port": self.ssh.port,
                "key": f"file:{self.folder / 'client_key'}",
                "known_hosts": str(self.folder / "known_hosts"),
            },
        }
        return EnvironmentTable.model_validate({**given, **changes})

    def artifact(self, **changes: Any) -> ArtifactTable:
        given = {
            "registry": self.registry,
            "image": "acme/shop",
            "insecure": True,
            "manifest": ManifestTable(file="/nowhere"),
            "scan": ["true"],
        }
        return ArtifactTable.model_validate({**given, **changes})

    async def publish(self, version: str, kind: ImageKind = "good", *, revision: str = "", **how: Any) -> Image:
        """Under the tag of its commit too, where `revision` says one."""
        image = build_image(version, kind=kind, revision=revision, **how)
        await push_image(self.registry, "acme/shop", image, filter(None, [f"v{version}", revision]))
        return Image(registry=self.registry, name="acme/shop", version=version, digest=image.digest)

    async def pulled(self, version: str, kind: ImageKind = "good", **how: Any) -> Image:
        """Published, and on the host already."""
        image = await self.publish(version, kind, **how)
        await self.engine.pull(image.repository, image.digest, None)
        return image

    async def built(self, version: str) -> str:
        """An image that was built on the host itself, so that no registry has said a digest of it: its tag."""
        pulled = await self.pulled(version, build="here")
        images, tag = self.engine_app.state.images, f"shop:{pulled.tag}"
        image = images.find(pulled.pinned)
        images.tag(image, ImageReference.parse(tag))
        image.digests.clear()
        return tag

    async def seen(self, environment: EnvironmentTable) -> list[Container]:
        """Every container of this service, by its name."""
        found = await self.engine.containers()
        base = environment.container
        return sorted((c for c in found if c.name == base or c.name.startswith(f"{base}-")), key=lambda c: c.name)

    async def shape(self, environment: EnvironmentTable) -> dict[str, tuple[str, str]]:
        """Name to (id, state): what a run that changes nothing leaves exactly as it was."""
        return {c.name: (c.id, c.state) for c in await self.seen(environment)}

    async def legacy(self, environment: EnvironmentTable, image: Image | str) -> str:
        """A container as the runbook's own `docker run` leaves it: the serving name, no labels."""
        wanted = ContainerToCreate(
            name=environment.container,
            image=image if isinstance(image, str) else image.reference,
            labels={},
            port=environment.port,
            publish_on=ADDRESS,
            restart="unless-stopped",
        )
        identity = await self.engine.create(wanted)
        await self.engine.start(identity)
        return identity

    def forget_requests(self) -> None:
        self.engine_app.state.faults.requests.clear()

    def requests(self) -> list[str]:
        return [f"{r['method']} {r['path']}" for r in self.engine_app.state.faults.requests]


def ref(epoch: int, version: str = "1.1.0") -> ReleaseRef:
    return ReleaseRef(
        project="shop",
        version=version,
        workflow_id="release-shop",
        release=f"run-{epoch}",
        epoch=epoch_of(epoch),
        requested_by="alice",
    )


def swap_order(environment: EnvironmentTable, image: Image, epoch: int, way_back: WayBack | None = None) -> SwapToMake:
    return SwapToMake(
        ref=ref(epoch, image.version), environment=environment, host=ADDRESS, image=image, way_back=way_back
    )


def put_back_order(
    bench: Bench, environment: EnvironmentTable, epoch: int, way_back: WayBack, failed: int
) -> HostToPutBack:
    return HostToPutBack(
        ref=ref(epoch),
        environment=environment,
        host=ADDRESS,
        way_back=way_back,
        artifact=bench.artifact(),
        failed_release=f"run-{failed}",
    )


@contextlib.asynccontextmanager
async def host_bench(folder: Path, settings: RegistrySettings | None = None) -> AsyncGenerator[Bench]:
    # The sandbox's engine and its callers share this process: callers that wait must leave threads for the engine.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    registry_app = build_registry(folder / "registry", settings or RegistrySettings())
    engine_app = build_engine(folder / "engine", address=ADDRESS, name="production-1")
    for name in ("client_key", "host_key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
    ssh = Host(
        HostSettings(
            name="production-1",
            address=ADDRESS,
            port=0,
            folder=folder / "files",
            engine=folder / "docker.sock",
            host_key=folder / "host_key",
            authorized_keys=[folder / "client_key.pub"],
        )
    )
    write_env(folder, "COLOUR=green\n")
    async with serving(registry_app) as registry, serving(engine_app, uds=folder / "docker.sock"):
        await ssh.start()
        public = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(f"[{ADDRESS}]:{ssh.port} {public}")
        hosts = Hosts()
        api = await asyncio.to_thread(dial, folder / "docker.sock")
        try:
            yield Bench(
                folder, f"127.0.0.1:{registry.port}", registry_app, engine_app, ssh, hosts, Engine(api, ADDRESS)
            )
        finally:
            api.close()
            await hosts.close()
            await ssh.close()


async def secret_lines() -> list[str]:
    """An env file with what the shop says aloud."""
    return [f"SHOP_DATABASE={DATABASE}"]


def write_env(folder: Path, content: str) -> None:
    path = folder / "files" / ENV_FILE.removeprefix("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def a_free_port() -> int:
    """Not twice the same within a process: it is bound only later."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((ADDRESS, 20000 + next(_numbers)))
            return int(probe.getsockname()[1])


async def answered(environment: EnvironmentTable, path: str = "/version", within: float = 20) -> dict[str, Any]:
    """The JSON that the service answers once it answers 200."""
    url = f"http://{ADDRESS}:{environment.port}{path}"
    async with asyncio.timeout(within), local_client(timeout=within) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                said = await http.get(url)
                if said.status_code == 200:
                    found: dict[str, Any] = said.json()
                    return found
            await asyncio.sleep(0.01)


def services(bench: Bench, calls: Iterable[int]) -> list[tuple[int, EnvironmentTable]]:
    """A service for each call, beside each other, so that a sweep takes the time of its slowest."""
    return [(at, bench.environment(f"shop{chr(97 + at // 26)}{chr(97 + at % 26)}")) for at in calls]


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once; the first that fails ends the others."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def telling(work: Awaitable[T]) -> T:
    """A step that fails where none should has its evidence in the test's report."""
    try:
        return await work
    except StepError as error:
        error.add_note("\n".join(error.evidence))
        raise


class Killed(BaseException):
    """The worker is gone: nothing of the attempt runs on."""


class Interrupted:
    """An engine whose caller is stopped just before a call: killed, or frozen until `thaw` is set.

    `at` is the number of the call, or the name of a method, whose first call it is.
    """

    def __init__(self, engine: Engine, at: int | str, thaw: asyncio.Event | None = None) -> None:
        self._engine = engine
        self._at = at
        self._thaw = thaw
        self.calls = 0
        self.frozen = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        return self._interrupted(name, found) if callable(found) else found

    def _interrupted(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            self.calls += 1
            if self._at in {self.calls, name} and not self.frozen.is_set():
                if self._thaw is None:
                    raise Killed
                self.frozen.set()
                await self._thaw.wait()
            return await method(*args)

        return call
