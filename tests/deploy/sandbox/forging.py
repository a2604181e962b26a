"""A forge, its registry and the demo project, started for one test."""

import asyncio
import atexit
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.sandbox.faults import Faults
from deploy.sandbox.forge import Account, ForgeSettings, build_forge
from deploy.sandbox.forge_core import Forge
from deploy.sandbox.forge_flavours import Flavour
from deploy.sandbox.pipeline_settings import PipelineSettings
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.registry_store import RegistryStore
from deploy.sandbox.serving import PLAIN, serving
from deploy.sandbox.shop import Shop

TOKEN = "token-of-the-release-bot"
READER = Account("bob", "token-of-bob", "read")
STRANGER = Account("mallory", "token-of-mallory", "none")
NARROW = Account("carol", "token-of-carol", "write", ("read:repository", "write:issue"))
QUICK: dict[str, Any] = {"appears_after": 0.02, "takes": 0.02}
API = "/api/v1/repos/acme/shop"
T = TypeVar("T")


@dataclass
class Bench:
    """What a test touches; `client` speaks as release-bot from the repository's address on."""

    root: Path
    url: str
    client: httpx.AsyncClient
    shop: Shop
    forge: Forge
    faults: Faults
    images: RegistryStore
    sha: str = ""

    async def get(self, path: str, **query: str) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def change_pipeline(self, **settings: Any) -> None:
        self.forge.pipeline.settings = self.forge.pipeline.settings.model_copy(update=settings)


@contextlib.asynccontextmanager
async def bench(
    root: Path, *, flavour: Flavour = "gitea-1.26", pipeline: Mapping[str, Any] | None = None, private: bool = True
) -> AsyncIterator[Bench]:
    """A forge whose acme/shop has version 1.0.0 on main, untagged; used twice on one root it goes on there."""
    registry = build_registry(root / "registry", RegistrySettings())
    async with serving(registry) as images:
        settings = ForgeSettings(
            token=TOKEN,
            accounts=(READER, STRANGER, NARROW),
            flavour=flavour,
            private=private,
            pipeline=PipelineSettings(registry=images.url.removeprefix("http://"), **{**QUICK, **(pipeline or {})}),
        )
        if not (root / "forge").exists():
            shutil.copytree(await _seed(), root, dirs_exist_ok=True)
        app = build_forge(root / "forge", settings)
        async with serving(app) as served:
            shop = Shop(root / "checkout", served.url, TOKEN)
            headers = {"Authorization": f"token {TOKEN}"}
            async with httpx.AsyncClient(
                base_url=served.url + API, headers=headers, trust_env=False, verify=PLAIN
            ) as client:
                yield Bench(
                    root,
                    served.url,
                    client,
                    shop,
                    app.state.forge,
                    app.state.faults,
                    registry.state.store,
                    sha=await app.state.forge.repositories["acme/shop"].commit_of("main"),
                )


async def eventually(look: Callable[[], Awaitable[T]], seconds: float = 10) -> T:
    """Looks until what it sees is true."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):
            await asyncio.sleep(0.01)
        return seen


_seeds: list[Path] = []


async def _seed() -> Path:
    """A forge with the demo project, made once for all tests."""
    if not _seeds:
        root = Path(tempfile.mkdtemp(prefix="forge-seed-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        async with serving(build_forge(root / "forge", ForgeSettings(token=TOKEN))) as served:
            shop = Shop(root / "checkout", served.url, TOKEN)
            await shop.create()
            await shop.commit_version("1.0.0")
        _seeds.append(root)
    return _seeds[0]
