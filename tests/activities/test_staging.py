"""Staging returned on real SSH, an engine and services, whatever the release had got to; also after killed attempts."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from activities.clients.health import HttpProbe
from activities.errors import Refused
from activities.hosts import HostActivities
from activities.staging import returned
from activities.strategy import Means
from runbook.project import EnvironmentTable
from runbook.service import StagingToPutBack
from tests.activities.host_bench import (
    ADDRESS,
    SETTLE,
    Bench,
    Interrupted,
    Killed,
    answered,
    host_bench,
    ref,
    services,
    swap_order,
    together,
)
from tests.activities.performing import perform


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def group(bench: Bench) -> AsyncGenerator[HostActivities]:
    probe = HttpProbe(within=2)
    yield HostActivities(bench.hosts, probe, SETTLE)
    await probe.aclose()


def to_return(bench: Bench, environment: EnvironmentTable) -> StagingToPutBack:
    return StagingToPutBack(ref=ref(10, "1.1.0"), environment=environment, host=ADDRESS, artifact=bench.artifact())


async def lines() -> list[str]:
    return []


async def serving(bench: Bench, environment: EnvironmentTable) -> dict[str, str]:
    """The ids of what runs, by name."""
    return {c.name: c.id for c in await bench.seen(environment) if c.alive}


async def test_the_candidate_makes_room_for_what_ran_before(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, await bench.pulled("1.0.0"))
    await perform(group.stage, swap_order(environment, await bench.pulled("1.1.0", "unhealthy"), 10))
    for _ in range(2):
        found = await perform(group.put_staging_back, to_return(bench, environment))
        assert (found.container_id, found.kept) == (before, True)
        assert await serving(bench, environment) == {environment.container: before}
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_where_nothing_ran_before_nothing_runs(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    await perform(group.stage, swap_order(environment, await bench.pulled("1.1.0"), 10))
    for _ in range(2):
        found = await perform(group.put_staging_back, to_return(bench, environment))
        assert (found.container_id, found.summary) == (None, f"{ADDRESS} runs nothing, as before the release")
        assert await serving(bench, environment) == {}


async def test_a_candidate_that_never_stayed_up_left_nothing_to_return(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, await bench.pulled("1.0.0"))
    with pytest.raises(Refused, match="did not stay up"):
        await perform(group.stage, swap_order(environment, await bench.pulled("1.1.0", "exits_at_once"), 10))
    found = await perform(group.put_staging_back, to_return(bench, environment))
    assert found.container_id == before
    assert await serving(bench, environment) == {environment.container: before}


async def test_the_next_release_stages_over_what_was_returned(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, await bench.pulled("1.0.0"))
    await perform(group.stage, swap_order(environment, await bench.pulled("1.1.0", "unhealthy"), 10))
    await perform(group.put_staging_back, to_return(bench, environment))
    staged = await perform(group.stage, swap_order(environment, await bench.pulled("1.2.0"), 20))
    assert staged.previous_id == before
    assert (await answered(environment))["version"] == "v1.2.0"


async def test_what_a_later_release_staged_is_left_alone(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    await perform(group.stage, swap_order(environment, await bench.pulled("1.1.0"), 10))
    await perform(group.stage, swap_order(environment, await bench.pulled("1.2.0"), 20))
    shape = await bench.shape(environment)
    with pytest.raises(Refused, match="of a later run"):
        await perform(group.put_staging_back, to_return(bench, environment))
    assert await bench.shape(environment) == shape


async def test_killed_before_any_call_the_next_attempt_returns_it(bench: Bench, group: HostActivities) -> None:
    old, new = await bench.pulled("1.0.0"), await bench.pulled("1.1.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        await perform(group.stage, swap_order(environment, new, 10))
        order = to_return(bench, environment)
        with pytest.raises(Killed):
            await returned(Means(Interrupted(bench.engine, at), lines, SETTLE), order)
        await perform(group.put_staging_back, order)
        assert await serving(bench, environment) == {environment.container: before}
        assert (await answered(environment))["version"] == "v1.0.0"

    await together(one(service, at) for at, service in services(bench, range(1, 14)))
