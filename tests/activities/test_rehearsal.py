"""A rollback rehearsed on real SSH, an engine and services: also by an attempt that follows a killed one."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from activities.clients.health import HttpProbe
from activities.downtime import Downtime
from activities.errors import Refused
from activities.hosts import HostActivities
from activities.rehearsal import rehearsed
from activities.strategy import Means
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import RollbackToRehearse
from runbook.trouble import Cause
from tests.activities.crossing_bench import Behind, never
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
from tests.epochs import in_full


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def probe() -> AsyncGenerator[HttpProbe]:
    made = HttpProbe(within=2)
    yield made
    await made.aclose()


@pytest.fixture
def group(bench: Bench, probe: HttpProbe) -> HostActivities:
    return HostActivities(bench.hosts, probe, SETTLE)


def rehearsal(bench: Bench, environment: EnvironmentTable, image: Image, previous: str | None) -> RollbackToRehearse:
    return RollbackToRehearse(
        ref=ref(10, image.version),
        environment=environment,
        host=ADDRESS,
        image=image,
        artifact=bench.artifact(),
        previous_id=previous,
    )


async def lines() -> list[str]:
    return []


async def assert_staged(bench: Bench, environment: EnvironmentTable, kept: str) -> None:
    """The candidate serves, and what ran before is kept for the next release."""
    seen = {c.name: c for c in await bench.seen(environment)}
    name = environment.container
    old = in_full(f"{name}-old-10")
    assert {each: c.state for each, c in seen.items() if "fence" not in each} == {name: "running", old: "exited"}
    assert seen[old].id == kept
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_rehearsal_rolls_back_deploys_again_and_says_how_long_it_took(
    bench: Bench, group: HostActivities
) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, await bench.pulled("1.0.0"))
    new = await bench.pulled("1.1.0")
    staged = await perform(group.stage, swap_order(environment, new, 10))
    found = await perform(group.rehearse, rehearsal(bench, environment, new, staged.previous_id))
    assert found.seconds is not None
    assert found.seconds > 0
    assert found.summary == f"{ADDRESS}: rollback rehearsed, {found.seconds:.1f} s"
    await assert_staged(bench, environment, before)


async def test_where_nothing_ran_before_nothing_is_rehearsed(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    new = await bench.pulled("1.1.0")
    staged = await perform(group.stage, swap_order(environment, new, 10))
    shape = await bench.shape(environment)
    found = await perform(group.rehearse, rehearsal(bench, environment, new, staged.previous_id))
    assert (found.seconds, found.summary) == (None, f"{ADDRESS}: nothing ran before, no rollback rehearsed")
    assert await bench.shape(environment) == shape


async def test_a_version_before_that_does_not_answer_is_said_and_the_candidate_runs_all_the_same(
    bench: Bench, group: HostActivities
) -> None:
    environment = bench.environment(health_deadline="500ms")
    before = await bench.legacy(environment, await bench.pulled("1.0.0", "unhealthy"))
    new = await bench.pulled("1.1.0")
    staged = await perform(group.stage, swap_order(environment, new, 10))
    with pytest.raises(Refused, match=r"put back and did not answer well within 0.5 s") as refused:
        await perform(group.rehearse, rehearsal(bench, environment, new, staged.previous_id))
    assert refused.value.cause is Cause.UNHEALTHY
    await assert_staged(bench, environment, before)


async def test_a_rehearsal_goes_back_and_forth_behind_the_proxy(bench: Bench, old: Image, new: Image) -> None:
    behind = Behind.of(bench)
    first = await behind.swap(old, 10)
    staged = await behind.swap(new, 20)

    async def answers(_: float) -> bool:
        return await behind.served() == "v1.0.0"

    order = RollbackToRehearse(
        ref=ref(20),
        environment=behind.environment,
        host=ADDRESS,
        image=new,
        artifact=bench.artifact(),
        previous_id=staged.previous_id,
    )
    found = await rehearsed(await behind.means(20), order, answers)
    assert found.seconds
    seen = await behind.shape()
    assert seen["shop-old-20"] == (first.container_id, "exited")
    assert (await behind.served(), behind.proxy.unfit) == ("v1.1.0", [])


async def test_one_that_published_its_port_is_no_way_back_behind_the_proxy_to_rehearse(
    bench: Bench, old: Image, new: Image
) -> None:
    behind = Behind.of(bench)
    before = await bench.legacy(behind.environment, old)
    await bench.engine.stop(before, behind.environment.stop_timeout)
    staged = await behind.swap(new, 10)
    assert staged.previous_id == before
    shape = await behind.shape()
    order = rehearsal(bench, behind.environment, new, before)
    found = await rehearsed(await behind.means(10), order, never)
    assert (found.seconds, found.summary) == (None, f"{ADDRESS}: nothing ran before, no rollback rehearsed")
    assert (await behind.shape(), await behind.served()) == (shape, "v1.1.0")


async def test_killed_before_any_call_the_next_attempt_rehearses_to_the_end(
    bench: Bench, group: HostActivities, probe: HttpProbe
) -> None:
    old, new = await bench.pulled("1.0.0"), await bench.pulled("1.1.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        await answered(environment)
        staged = await perform(group.stage, swap_order(environment, new, 10))
        order = rehearsal(bench, environment, new, staged.previous_id)
        engine = Interrupted(bench.engine, at)
        async with Downtime(probe, environment.health_url(ADDRESS), {}) as downtime:
            with pytest.raises(Killed):
                await rehearsed(Means(engine, lines, SETTLE), order, downtime.answers)
        await perform(group.rehearse, order)
        await assert_staged(bench, environment, before)

    await together(one(service, at) for at, service in services(bench, range(2, 20, 4)))
