"""Clients under test, and registries that ask for a login."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from activities.clients.registry import Registry
from activities.clients.ssh import Ssh
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import serve
from tests.activities.clients.registries import PASSWORD


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with local_client(timeout=2) as client:
        yield client


@pytest.fixture
def registry(http: httpx.AsyncClient) -> Registry:
    return Registry(http)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def started(app: Starlette | None = None, **settings: Any) -> str:
            made = app or build_registry(tmp_path / "registry", RegistrySettings(password=PASSWORD, **settings))
            served = await serve(made)
            stack.push_async_callback(served.close)
            return f"127.0.0.1:{served.port}"

        yield started


@pytest.fixture
def sesame(tmp_path: Path) -> Callable[[str], str]:
    def written(text: str) -> str:
        path = tmp_path / f"secret-{len(text)}"
        path.write_text(text + "\n")
        return f"file:{path}"

    return written


@pytest.fixture
def right(sesame: Callable[[str], str]) -> str:
    return sesame(PASSWORD)


@pytest.fixture
def wrong(sesame: Callable[[str], str]) -> str:
    return sesame("open")


@pytest.fixture
async def ssh() -> AsyncGenerator[Ssh]:
    made = Ssh(timedelta(seconds=2))
    yield made
    await made.close()
