"""Everything a release touches, on one machine: forge, registry, hosts, and a door to break them by."""

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from deploy.sandbox.engine import build_engine
from deploy.sandbox.engine_choice import choose_engine
from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.forge import ForgeSettings, build_forge
from deploy.sandbox.hosts import Host, HostSettings
from deploy.sandbox.pipeline_settings import PipelineSettings
from deploy.sandbox.real_engine import build_real_engine
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.sandbox_admin import Admin
from deploy.sandbox.sandbox_describe import RELEASE_USER, describe
from deploy.sandbox.sandbox_facts import HostFacts, SandboxFacts
from deploy.sandbox.sandbox_host import SandboxHost
from deploy.sandbox.sandbox_keys import make_keys
from deploy.sandbox.sandbox_place import Place
from deploy.sandbox.sandbox_project import write_project
from deploy.sandbox.sandbox_versions import Versions
from deploy.sandbox.serving import Served, serve
from deploy.sandbox.settings import REPOSITORY, SSH_USER, EngineKind, Layout, SandboxSettings


class SandboxTaken(RuntimeError):
    """Another process has a sandbox up in the same root."""


class Sandbox:
    """`async with Sandbox(settings) as sandbox:` everything answers, and `sandbox.facts` says where."""

    facts: SandboxFacts
    versions: Versions
    admin: Admin
    forge: Starlette
    registry: Starlette

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings.model_copy(update={"root": settings.root.absolute()})
        self.layout = Layout(self.settings.root)
        self.hosts: dict[str, SandboxHost] = {}
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        layout, settings = self.layout, self.settings
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_root()
        self._exits.callback(layout.facts.unlink, missing_ok=True)
        place = Place.settle(layout, settings)
        make_keys(layout, place)
        real = await choose_engine(settings.engine)
        self.facts = describe(layout, settings, place, "docker" if real else "process")
        self.hosts = {facts.name: self._host(facts, real) for facts in self.facts.hosts}
        await self._serve(place)
        write_project(layout, self.facts, place)
        await self.versions.settle(settings.baseline)
        write_whole(layout.facts, self.facts.model_dump_json(indent=2).encode())

    async def _serve(self, place: Place) -> None:
        settings, hosts = self.settings, list(self.hosts.values())
        self.registry = build_registry(settings.root / "registry", _registry_settings(settings, place))
        self.forge = build_forge(settings.root / "forge", _forge_settings(settings, place, self.facts.engine))
        url = self.facts.forge.url
        self.versions = Versions(self.layout, place, self.forge.state.forge, url, hosts)
        self.admin = Admin(self.hosts, self.versions.publish)
        for host in hosts:
            if not host.facts.env_file.exists():
                host.write_env({"SHOP_ENVIRONMENT": host.facts.role})
        apps = {"registry": self.registry, "forge": self.forge, "admin": self.admin.app()}
        served = [serve(app, place.services, place.ports[name]) for name, app in apps.items()]
        # All at once, at the start as at the end.
        self._exits.push_async_callback(self._close_all, hosts, await asyncio.gather(*served))
        await asyncio.gather(*(host.start() for host in hosts))

    async def _close_all(self, hosts: list[SandboxHost], served: list[Served]) -> None:
        await asyncio.gather(*(host.close() for host in hosts), *(each.close() for each in served))

    def _host(self, facts: HostFacts, real: Path | None) -> SandboxHost:
        folder = self.layout.host(facts.name)
        ssh = HostSettings(
            name=facts.name,
            address=facts.address,
            port=facts.ssh_port,
            folder=facts.files,
            engine=facts.engine_socket,
            host_key=self.layout.host_key(facts.name),
            authorized_keys=[self.layout.client_key.with_suffix(".pub")],
            user=SSH_USER,
        )
        where = {"address": facts.address, "name": facts.name}
        if real:
            engine = build_real_engine(real, folder / "engine", owner=self.layout.owner, **where)
        else:
            engine = build_engine(folder / "engine", **where)
        return SandboxHost(facts, Host(ssh), engine)

    def _take_root(self) -> None:
        lock = os.open(self.layout.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._exits.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxTaken(
                f"{self.layout.root} has a sandbox up already: end that one, or name another --root"
            ) from None


def _registry_settings(settings: SandboxSettings, place: Place) -> RegistrySettings:
    return RegistrySettings(auth=settings.registry_auth, user=RELEASE_USER, password=place.registry_password)


def _forge_settings(settings: SandboxSettings, place: Place, engine: EngineKind) -> ForgeSettings:
    pipeline = PipelineSettings(
        registry=place.registry,
        registry_user=RELEASE_USER,
        registry_password=place.registry_password,
        takes=settings.pipeline_seconds,
        runtime="busybox" if engine == "docker" else "process",
    )
    return ForgeSettings(
        token=place.forge_token,
        user=RELEASE_USER,
        repositories=(REPOSITORY,),
        flavour=settings.flavour,
        pipeline=pipeline,
    )
