"""A registry with images of the shop and one engine, for tests that speak to the engine through docker's SDK."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import docker
import httpx

from deploy.sandbox.engine import build_engine
from deploy.sandbox.images import Image, ImageKind, build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import serve, serving

ADDRESS = "127.0.7.11"
PASSWORD = "sesame"


class Bench:
    """`docker` is the SDK's client; call it through `run`, for the engine lives in this event loop."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder = folder
        self.registry = registry
        self.repository = f"{registry}/acme/shop"
        self.socket = folder / "docker.sock"
        self.docker: Any = None
        self.app: Any = None
        self.registry_app: Any = None

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[None]:
        self.app = build_engine(self.folder / "engine", address=ADDRESS, name="bench")
        async with serving(self.app, uds=self.socket):
            self.docker = await run(docker.DockerClient, base_url=f"unix://{self.socket}", version="auto", timeout=20)
            try:
                yield
            finally:
                self.docker.close()

    async def clean(self) -> None:
        """As new: no container, no image, no fault."""
        self.app.state.faults.clear()
        self.registry_app.state.faults.clear()
        for container in self.app.state.containers.all():
            await self.app.state.runner.remove(container, force=True)
        for image in self.app.state.images.all():
            self.app.state.images.remove(image.id, force=True, used_by=None)

    async def publish(self, version: str, kind: ImageKind = "good", **how: Any) -> Image:
        account = {key: how.pop(key) for key in ("user", "password") if key in how}
        image = build_image(version, kind=kind, **how)
        await push_image(self.registry, "acme/shop", image, [f"v{version}"], **account)
        return image

    async def pulled(self, version: str, kind: ImageKind = "good", **how: Any) -> str:
        """Publishes, pulls by digest, and answers `repository@digest`."""
        image = await self.publish(version, kind, **how)
        await run(self.docker.images.pull, self.repository, tag=image.digest)
        return f"{self.repository}@{image.digest}"

    async def create(self, reference: str, name: str, **how: Any) -> Any:
        return await run(self.docker.containers.create, reference, name=name, **how)

    async def inspected(self, container: Any) -> dict[str, Any]:
        found: dict[str, Any] = await run(self.docker.api.inspect_container, container.id)
        return found


@contextlib.asynccontextmanager
async def bench(folder: Path, settings: RegistrySettings | None = None) -> AsyncIterator[Bench]:
    app = build_registry(folder / "registry", settings or RegistrySettings())
    registry = await serve(app)
    try:
        made = Bench(folder, f"127.0.0.1:{registry.port}")
        made.registry_app = app
        async with made.engine():
            yield made
    finally:
        await registry.close()


async def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(function, *args, **kwargs)


async def answer(port: int, path: str, within: float = 5) -> dict[str, Any]:
    """The JSON at the published port, once it answers 200."""
    deadline = time.monotonic() + within
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                said = await http.get(f"http://{ADDRESS}:{port}{path}")
                if said.status_code == 200:
                    found: dict[str, Any] = said.json()
                    return found
            assert time.monotonic() < deadline, f"nothing answered on {ADDRESS}:{port}{path} within {within} s"
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], Any], within: float = 10) -> Any:
    """The condition's first true answer; it is asked in a thread."""
    deadline = time.monotonic() + within
    while not (found := await run(condition)):
        assert time.monotonic() < deadline, f"it did not become true within {within} s"
        await asyncio.sleep(0.02)
    return found
