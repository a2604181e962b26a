"""A swap cut short: killed between any two of its calls, resumed too late, and made twice at once."""

import asyncio
import random
from typing import Any

import pytest

from activities.clients.engine import Engine
from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, Unreachable
from activities.heartbeat import ended
from activities.swap import Swap
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import SwappedContainer, WayBack
from runbook.trouble import Cause
from tests.activities.host_bench import (
    PATIENT,
    SETTLE,
    Bench,
    Interrupted,
    answered,
    secret_lines,
    services,
    swap_order,
    together,
)
from tests.activities.swapping import assert_swapped, killed, names, put_back, recorded, swap
from tests.epochs import in_full

# More calls than any swap makes: the last ones are whole attempts.
MOST_CALLS = 16


async def test_killed_before_any_call_the_next_attempt_makes_it_right(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        await killed(bench, environment, new, 10, at)
        await swap(bench, environment, new, 10)
        await assert_swapped(bench, environment, new, 10, before)

    await together(one(service, at) for at, service in services(bench, range(3, MOST_CALLS)))


async def test_killed_again_and_again_it_still_comes_right(bench: Bench, old: Image, new: Image) -> None:
    chance = random.Random(7)

    async def one(environment: EnvironmentTable) -> None:
        before = await bench.legacy(environment, old)
        for _ in range(3):
            await killed(bench, environment, new, 10, chance.randint(2, 14))
        await swap(bench, environment, new, 10)
        await assert_swapped(bench, environment, new, 10, before)

    await together(one(service) for _, service in services(bench, range(8)))


async def test_killed_while_it_gives_the_service_back_it_still_gives_it_back(bench: Bench, old: Image) -> None:
    bad = await bench.pulled("1.1.0", "exits_at_once")

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        await killed(bench, environment, bad, 10, at, PATIENT)
        with pytest.raises(Refused, match="serves again") as refused:
            await swap(bench, environment, bad, 10, settle=PATIENT)
        assert refused.value.cause == Cause.CONTAINER_EXITED
        assert {c.name: (c.id, c.state) for c in await bench.seen(environment)} == {
            environment.container: (before, "running")
        }
        assert (await answered(environment))["version"] == "v1.0.0"

    await together(one(service, at) for at, service in services(bench, range(8, 22)))


async def test_a_new_one_that_ended_is_not_started_again_while_nothing_serves(bench: Bench, old: Image) -> None:
    environment, bad = bench.environment(), await bench.pulled("1.1.0", "exits_at_once")
    before = await bench.legacy(environment, old)
    await killed(bench, environment, bad, 10, "inspect")
    engine = bench.engine
    async with asyncio.timeout(20):
        while (await names(bench, environment))["shop-new-10"] != "restarting":
            await asyncio.sleep(0.01)
    bench.forget_requests()
    with pytest.raises(Refused, match="serves again"):
        await swap(bench, environment, bad, 10)
    assert not any(f"{in_full('shop-new-10')}/start" in line for line in bench.requests())
    assert (await engine.inspect("shop")).id == before


async def test_what_a_terminated_release_left_is_repaired_by_the_next(bench: Bench, old: Image, new: Image) -> None:
    third = await bench.pulled("1.2.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        await killed(bench, environment, new, 10, at)
        back = await recorded(bench, environment, 20)
        await swap(bench, environment, third, 20, back=back)
        assert (await answered(environment))["version"] == "v1.2.0"
        kept = [c for c in await bench.seen(environment) if c.name != environment.container]
        assert [(c.id, c.state) for c in kept] == [(back.container_id, "exited")]
        assert back.container_id == before or back.version == "1.1.0"

    await together(one(service, at) for at, service in services(bench, range(3, MOST_CALLS)))


async def later_swap(bench: Bench, environment: EnvironmentTable, back: WayBack, then: Image) -> str:
    await swap(bench, environment, then, 30)
    return then.tag


async def later_return(bench: Bench, environment: EnvironmentTable, back: WayBack, then: Image) -> str:
    await put_back(bench, environment, 30, back, 10)
    return "v1.0.0"


@pytest.mark.parametrize(
    ("later", "succeeded", "kind", "calls"),
    [
        (later_swap, True, "good", range(2, 15)),
        (later_swap, False, "good", range(2, 12)),
        (later_return, True, "good", range(2, 15)),
        (later_return, False, "good", range(2, 12)),
        (later_swap, True, "exits_at_once", range(9, 22)),
        (later_return, False, "exits_at_once", range(9, 22)),
    ],
)
async def test_an_attempt_that_comes_back_to_life_after_a_later_run_changes_nothing(
    bench: Bench, old: Image, later: Any, kind: Any, calls: range, *, succeeded: bool
) -> None:
    image, third = await bench.pulled("1.1.0", kind), await bench.pulled("1.2.0")
    settle = SETTLE if kind == "good" else PATIENT

    async def one(environment: EnvironmentTable, at: int) -> None:
        await bench.legacy(environment, old)
        back, thaw = await recorded(bench, environment, 10), asyncio.Event()
        engine = Interrupted(bench.engine, at, thaw)
        zombie = asyncio.create_task(swap(bench, environment, image, 10, engine=engine, back=back, settle=settle))
        frozen = asyncio.create_task(engine.frozen.wait())
        await asyncio.wait({zombie, frozen}, return_when=asyncio.FIRST_COMPLETED)
        if succeeded:
            await asyncio.gather(swap(bench, environment, image, 10, back=back, settle=settle), return_exceptions=True)
        version = await later(bench, environment, back, third)
        before = await bench.shape(environment)
        thaw.set()
        await asyncio.gather(zombie, return_exceptions=True)
        frozen.cancel()
        assert await bench.shape(environment) == before, f"frozen before call {at}"
        assert (await answered(environment))["version"] == version

    await together(one(service, at) for at, service in services(bench, calls))


class Sleeping:
    """An engine whose caller sleeps in a call to create until `woken` is set; a call that was begun is made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asleep, self.woken = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def create(self, wanted: ContainerToCreate) -> str:
        async def create() -> str:
            self.asleep.set()
            await self.woken.wait()
            return await self._engine.create(wanted)

        return await ended(create())


async def test_an_attempt_that_wakes_cancelled_leaves_nothing_beside_what_another_has_made(
    bench: Bench, old: Image, new: Image
) -> None:
    [service] = [service for _, service in services(bench, range(1))]
    await bench.legacy(service, old)
    back, engine = await recorded(bench, service, 10), Sleeping(bench.engine)
    sleeper = asyncio.create_task(swap(bench, service, new, 10, engine=engine, back=back))
    await engine.asleep.wait()
    await swap(bench, service, new, 10, back=back)
    before = await bench.shape(service)
    sleeper.cancel()
    engine.woken.set()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert await bench.shape(service) == before


async def test_made_by_several_at_once_it_is_made_once(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable) -> None:
        before = await bench.legacy(environment, old)
        results = await asyncio.gather(*(swap(bench, environment, new, 10) for _ in range(3)), return_exceptions=True)
        for result in results:
            assert isinstance(result, (SwappedContainer, Unreachable)), result
        await swap(bench, environment, new, 10)
        await assert_swapped(bench, environment, new, 10, before)

    await together(one(service) for _, service in services(bench, range(6)))


async def test_cancelled_in_the_middle_the_service_is_not_left_down(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    thaw = asyncio.Event()
    # Frozen when the old one is stopped and the new one not started.
    engine = Interrupted(bench.engine, "start", thaw)
    attempt = asyncio.create_task(swap(bench, environment, new, 10, engine=engine))
    await engine.frozen.wait()
    attempt.cancel()
    thaw.set()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert (await names(bench, environment)) == {"shop": "running", "shop-old-10": "exited"}
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_no_value_of_the_env_file_is_ever_said(bench: Bench, old: Image) -> None:
    environment = bench.environment()
    bad = await bench.pulled("1.1.0", "exits_at_once")
    engine = bench.engine
    with pytest.raises(Refused) as refused:
        await Swap(engine, swap_order(environment, bad, 10), secret_lines, PATIENT).make()
    assert "hunter2" not in " ".join([str(refused.value), *refused.value.evidence])
    assert "could not connect: •••" in refused.value.evidence
    wanted = ContainerToCreate(name="shop", image="x", labels={}, environment=["PASSWORD=hunter2"])
    assert "hunter2" not in repr(wanted)
