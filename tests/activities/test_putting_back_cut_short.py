"""Putting back from every state a swap can leave: killed anywhere, resumed too late, made twice at once."""

import asyncio
import contextlib
from typing import Any

import pytest

from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, StepError, Unreachable
from activities.family import labels
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import RestoredHost, WayBack
from tests.activities.host_bench import (
    ADDRESS,
    PATIENT,
    SETTLE,
    Bench,
    Interrupted,
    Killed,
    answered,
    ref,
    services,
    together,
)
from tests.activities.returning import assert_back, put_back, recorded, released, shape, swap
from tests.epochs import in_full

# More calls than any put-back makes.
MOST_CALLS = 20


@pytest.mark.parametrize("kind", ["good", "exits_at_once"])
async def test_from_every_state_that_a_swap_leaves_the_host_comes_back(bench: Bench, old: Image, kind: Any) -> None:
    image = await bench.pulled("1.1.0", kind)

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        back = await recorded(bench, environment)
        with contextlib.suppress(Killed, StepError):
            engine = Interrupted(bench.engine, at)
            await swap(bench, environment, image, engine=engine, settle=SETTLE if kind == "good" else PATIENT)
        await put_back(bench, environment, back)
        await assert_back(bench, environment, before)

    calls = range(2, 14) if kind == "good" else range(9, 22)
    await together(one(service, at) for at, service in services(bench, calls))


async def test_killed_before_any_call_the_next_attempt_makes_it_right(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable, at: int) -> None:
        before, back = await released(bench, environment, old, new)
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(bench.engine, at))
        await put_back(bench, environment, back)
        await assert_back(bench, environment, before)

    await together(one(service, at) for at, service in services(bench, range(2, MOST_CALLS)))


@pytest.mark.parametrize("has_digest", [True, False], ids=["pulled", "built on the host"])
async def test_killed_while_it_makes_one_anew_it_makes_one(
    bench: Bench, old: Image, new: Image, *, has_digest: bool
) -> None:
    built = old if has_digest else await bench.built("1.0.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        before, back = await released(bench, environment, built, new)
        await bench.engine.remove(before)
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(bench.engine, at))
        made = await put_back(bench, environment, back)
        assert made.container_id
        await assert_back(bench, environment, made.container_id)

    await together(one(service, at) for at, service in services(bench, range(5, MOST_CALLS)))


async def test_what_somebody_started_instead_is_kept_however_often_it_is_killed(
    bench: Bench, old: Image, new: Image
) -> None:
    async def one(environment: EnvironmentTable, at: int) -> None:
        before, back = await released(bench, environment, old, new)
        engine, name = bench.engine, environment.container
        await engine.stop(name, environment.stop_timeout)
        await engine.rename(name, f"{name}-broken")
        hot_fix = await bench.legacy(environment, new)
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(bench.engine, at))
        await put_back(bench, environment, back)
        seen = await shape(bench, environment)
        assert seen.pop("shop-old-20") == (hot_fix, "exited")
        assert set(seen) == {"shop", "shop-fence-20"}
        assert seen["shop"] == (before, "running")

    await together(one(service, at) for at, service in services(bench, range(2, MOST_CALLS)))


async def test_an_attempt_that_comes_back_to_life_after_a_later_release_changes_nothing(
    bench: Bench, old: Image, new: Image
) -> None:
    third = await bench.pulled("1.2.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        _, back = await released(bench, environment, old, new)
        thaw = asyncio.Event()
        engine = Interrupted(bench.engine, at, thaw)
        zombie = asyncio.create_task(put_back(bench, environment, back, engine=engine))
        frozen = asyncio.create_task(engine.frozen.wait())
        await asyncio.wait({zombie, frozen}, return_when=asyncio.FIRST_COMPLETED)
        if at % 2:
            await put_back(bench, environment, back)
        await swap(bench, environment, third, 30)
        before = await shape(bench, environment)
        thaw.set()
        await asyncio.gather(zombie, return_exceptions=True)
        frozen.cancel()
        assert await shape(bench, environment) == before, f"frozen before call {at}"
        assert (await answered(environment))["version"] == "v1.2.0"

    await together(one(service, at) for at, service in services(bench, range(2, MOST_CALLS)))


async def test_a_stop_that_is_under_way_from_the_failed_release_does_not_end_what_was_put_back(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    engine = bench.engine
    # The failed release got as far as the name; its stop reached the engine and is still working there.
    taken = in_full("shop-old-10")
    await engine.rename(before, taken)
    await engine.set_restart(taken, "no")
    stopping = asyncio.create_task(engine.stop(taken, environment.stop_timeout))
    await put_back(bench, environment, back)
    await asyncio.gather(stopping, return_exceptions=True)
    await assert_back(bench, environment, before)


async def test_one_that_runs_without_the_name_is_stopped_before_it_is_started(bench: Bench, old: Image) -> None:
    """A real engine starts what still runs by doing nothing, and a stop under way ends it then."""
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    await bench.engine.rename(before, in_full("shop-old-10"))
    bench.forget_requests()
    await put_back(bench, environment, back)
    asked = [line.removeprefix(f"POST /containers/{in_full('shop-back-20')}/") for line in bench.requests()]
    assert asked.index("stop") < asked.index("start")
    await assert_back(bench, environment, before)


async def test_made_by_several_at_once_it_is_made_once(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable, _: int) -> None:
        before, back = await released(bench, environment, old, new)
        results = await asyncio.gather(*(put_back(bench, environment, back) for _ in range(3)), return_exceptions=True)
        for result in results:
            assert isinstance(result, (RestoredHost, Unreachable)), result
        await put_back(bench, environment, back)
        await assert_back(bench, environment, before)

    await together(one(service, at) for at, service in services(bench, range(5)))


async def test_staging_on_the_same_host_is_not_touched(bench: Bench, old: Image, new: Image) -> None:
    production, staging = bench.environment("shop"), bench.environment("shop-staging")
    before, back = await released(bench, production, old, new)
    # The same release staged there: the same labels but for the container's.
    await swap(bench, staging, new)
    serving = await bench.shape(staging)
    await put_back(bench, production, back)
    assert (await shape(bench, production))["shop"] == (before, "running")
    assert await bench.shape(staging) == serving


async def test_a_fence_is_left_even_where_only_a_strangers_image_is(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    engine = bench.engine
    await put_back(bench, environment, WayBack(host=ADDRESS))
    assert set(await shape(bench, environment)) == {"shop-fence-20"}
    fence = await engine.inspect(in_full("shop-fence-20"))
    assert fence.port_bindings in ({}, None)
    with pytest.raises(Refused, match=in_full("shop-fence-20 of a later run")):
        await swap(bench, environment, new)
    assert set(await shape(bench, environment)) == {"shop-fence-20"}


async def test_the_failed_release_on_another_container_name_is_not_touched(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    engine = bench.engine
    other = ContainerToCreate(name="till", image=new.reference, labels=labels(ref(10), "till", "1.1.0", new.digest))
    identity = await engine.create(other)
    await put_back(bench, environment, WayBack(host=ADDRESS))
    assert (await engine.inspect(identity)).state == "created"
