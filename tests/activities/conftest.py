"""A host with an engine behind it, two versions of the shop, and what a release is planned from."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from activities.clients.health import HttpProbe
from activities.hosts import HostActivities
from runbook.image import Image
from runbook.project import EnvironmentTable
from tests.activities.host_bench import SETTLE, Bench, host_bench
from tests.activities.planning_world import World, opened


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def old(bench: Bench) -> Image:
    return await bench.pulled("1.0.0")


@pytest.fixture
async def new(bench: Bench) -> Image:
    return await bench.pulled("1.1.0")


@pytest.fixture
async def group(bench: Bench) -> AsyncGenerator[HostActivities]:
    probe = HttpProbe(within=2)
    yield HostActivities(bench.hosts, probe, SETTLE)
    await probe.aclose()


@pytest.fixture
def environment(bench: Bench) -> EnvironmentTable:
    return bench.environment()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with opened(tmp_path) as world:
        yield world
