"""A swap, whole and cut short: killed between any two of its calls, resumed too late, and made twice at once."""

import asyncio
import random
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, StepError, Unreachable
from activities.family import labels
from activities.putting_back import PuttingBack
from activities.swap import Swap
from activities.way_back import way_back
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import SwappedContainer, WayBack, WayBackToRecord
from runbook.trouble import Cause
from tests.activities.host_bench import (
    ADDRESS,
    PATIENT,
    SETTLE,
    Bench,
    Interrupted,
    Killed,
    answered,
    host_bench,
    put_back_order,
    ref,
    services,
    swap_order,
    telling,
    together,
    write_env,
)

# More calls than any swap makes: the last ones are whole attempts.
MOST_CALLS = 16


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


async def lines() -> list[str]:
    return ["COLOUR=green"]


async def swap(
    bench: Bench,
    environment: EnvironmentTable,
    image: Image,
    epoch: int,
    *,
    engine: Any = None,
    back: WayBack | None = None,
    settle: timedelta = SETTLE,
) -> SwappedContainer:
    used = engine or await bench.engine(environment)
    return await telling(Swap(used, swap_order(environment, image, epoch, back), lines, settle).make())


async def recorded(bench: Bench, environment: EnvironmentTable, epoch: int) -> WayBack:
    order = WayBackToRecord(ref=ref(epoch), environment=environment, host=ADDRESS, artifact=bench.artifact())
    return await way_back(await bench.engine(environment), order)


async def put_back(bench: Bench, environment: EnvironmentTable, epoch: int, back: WayBack, failed: int) -> None:
    order = put_back_order(bench, environment, epoch, back, failed)
    await PuttingBack(await bench.engine(environment), order, lines, SETTLE).make()


async def killed(
    bench: Bench, environment: EnvironmentTable, image: Image, epoch: int, at: int | str, settle: timedelta = SETTLE
) -> None:
    """One attempt that dies before this call, or ends by itself before it comes to that."""
    engine = Interrupted(await bench.engine(environment), at)
    try:
        await swap(bench, environment, image, epoch, engine=engine, settle=settle)
    except (Killed, StepError):
        return


async def names(bench: Bench, environment: EnvironmentTable) -> dict[str, str]:
    return {c.name.replace(environment.container, "shop", 1): c.state for c in await bench.seen(environment)}


async def assert_swapped(bench: Bench, environment: EnvironmentTable, image: Image, epoch: int, kept: str) -> None:
    assert await names(bench, environment) == {"shop": "running", f"shop-old-{epoch}": "exited"}
    serving, old = await bench.seen(environment)
    assert serving.labels["runbook.digest"] == image.digest
    assert serving.labels["runbook.epoch"] == str(epoch)
    assert old.id == kept
    assert (await answered(environment))["version"] == image.tag


async def test_the_new_one_serves_and_the_old_one_is_kept_stopped(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    made = await swap(bench, environment, new, 10)
    await assert_swapped(bench, environment, new, 10, before)
    engine = await bench.engine(environment)
    details = await engine.inspect(made.container_id)
    kept = await engine.inspect(before)
    assert (details.image, details.restart) == (new.reference, "unless-stopped")
    assert "COLOUR=green" in details.environment
    assert details.port_bindings == {"8080/tcp": [{"HostIp": ADDRESS, "HostPort": str(environment.port)}]}
    assert (kept.restart, made.previous_id) == ("no", before)
    assert (await bench.seen(environment))[0].labels == {
        **labels(ref(10), "shop", new.version, new.digest),
        **{k: v for k, v in (await bench.seen(environment))[0].labels.items() if k.startswith("org.")},
    }


async def test_the_first_deployment_needs_no_old_one(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    made = await swap(bench, environment, new, 10)
    assert (made.previous_id, await names(bench, environment)) == (None, {"shop": "running"})
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_swap_that_is_done_changes_nothing_and_asks_little(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    first = await swap(bench, environment, new, 10)
    before = await bench.shape(environment)
    bench.forget_requests()
    again = await swap(bench, environment, new, 10)
    assert (again.container_id, again.previous_id) == (first.container_id, first.previous_id)
    assert len(bench.requests()) == 1
    assert await bench.shape(environment) == before


async def test_a_swap_takes_a_dozen_calls(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    bench.forget_requests()
    await swap(bench, environment, new, 10)
    assert len(bench.requests()) <= 13, bench.requests()


async def test_only_the_release_before_is_kept(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    second = await swap(bench, environment, new, 10)
    third = await bench.pulled("1.2.0")
    await swap(bench, environment, third, 20)
    await assert_swapped(bench, environment, third, 20, second.container_id)


async def test_the_way_back_is_kept_whatever_it_is_called(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    first = await bench.legacy(environment, old)
    back = await recorded(bench, environment, 20)
    # A swap of an earlier run comes between the recording and ours, with the recorded image again.
    await swap(bench, environment, old, 10)
    await swap(bench, environment, new, 20, back=back)
    assert first in {container.id for container in await bench.seen(environment)}


async def test_staging_and_production_of_a_project_share_a_host(bench: Bench, old: Image, new: Image) -> None:
    production, staging = bench.environment("shop"), bench.environment("shop-staging")
    await swap(bench, production, old, 10)
    await swap(bench, staging, new, 20)
    assert (await answered(production))["version"] == "v1.0.0"
    assert (await answered(staging))["version"] == "v1.1.0"
    await swap(bench, production, new, 15)
    assert (await answered(production))["version"] == "v1.1.0"
    assert {c.name for c in await bench.seen(staging)} == {"shop-staging"}


async def test_the_name_of_another_project_is_not_touched(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    engine = await bench.engine(environment)
    other = labels(ref(1), "shop", "1.0.0", old.digest) | {"runbook.project": "till"}
    await engine.create(ContainerToCreate(name="shop", image=old.reference, labels=other))
    before = await bench.shape(environment)
    with pytest.raises(Refused, match="belongs to project till, not to shop"):
        await swap(bench, environment, new, 10)
    assert await bench.shape(environment) == before


async def test_a_later_run_is_left_alone(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await swap(bench, environment, new, 20)
    before = await bench.shape(environment)
    bench.forget_requests()
    with pytest.raises(Refused, match="run-20") as refused:
        await swap(bench, environment, old, 10)
    assert refused.value.cause == Cause.FENCED
    assert all(line.startswith("GET ") for line in bench.requests())
    assert await bench.shape(environment) == before


async def test_what_somebody_started_since_the_recording_is_not_replaced(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    first = await bench.legacy(environment, old)
    back = await recorded(bench, environment, 10)
    engine = await bench.engine(environment)
    await engine.stop(first, environment.stop_timeout)
    await engine.remove(first)
    await bench.legacy(environment, await bench.pulled("1.0.1"))
    before = await bench.shape(environment)
    with pytest.raises(Refused, match=r"runs shop \(v1.0.1, running\), not shop \(1.0.0\) as recorded"):
        await swap(bench, environment, new, 10, back=back)
    assert await bench.shape(environment) == before


@pytest.mark.parametrize("kind", ["exits_at_once", "crash_loop"])
async def test_a_new_one_that_does_not_stay_up_gives_the_service_back(bench: Bench, old: Image, kind: Any) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    bad = await bench.pulled("1.1.0", kind, seconds=0.02)
    with pytest.raises(Refused, match=r"v1\.1\.0 did not stay up, v1\.0\.0 serves again") as refused:
        await swap(bench, environment, bad, 10, settle=PATIENT)
    assert refused.value.cause == Cause.CONTAINER_EXITED
    assert any("missing setting" in line or "lost the connection" in line for line in refused.value.evidence)
    assert {c.name: (c.id, c.state) for c in await bench.seen(environment)} == {"shop": (before, "running")}
    assert (await (await bench.engine(environment)).inspect(before)).restart == "unless-stopped"
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_a_first_deployment_that_does_not_stay_up_leaves_nothing(bench: Bench) -> None:
    environment = bench.environment()
    with pytest.raises(Refused, match="nothing ran before"):
        await swap(bench, environment, await bench.pulled("1.1.0", "exits_at_once"), 10, settle=PATIENT)
    assert await bench.seen(environment) == []


async def test_a_port_that_somebody_holds_is_worth_another_attempt(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    other = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, environment.port)
    async with other:
        with pytest.raises(Unreachable, match="did not stay up") as taken:
            await swap(bench, environment, new, 10)
    assert taken.value.cause == Cause.CONTAINER_EXITED
    assert any("address already in use" in line for line in taken.value.evidence)
    await swap(bench, environment, new, 10)
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_corrected_env_file_counts_for_what_a_killed_attempt_created(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    # Dead after the creation, before the old one is touched.
    await killed(bench, environment, new, 10, "rename")
    assert "shop-new-10" in await names(bench, environment)

    async def corrected() -> list[str]:
        return ["COLOUR=blue"]

    engine = await bench.engine(environment)
    made = await Swap(engine, swap_order(environment, new, 10), corrected, SETTLE).make()
    assert "COLOUR=blue" in (await engine.inspect(made.container_id)).environment
    assert set(await names(bench, environment)) == {"shop", "shop-old-10"}


async def test_a_swap_needs_no_registry_for_an_image_that_was_pulled(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    bench.registry_app.state.faults.requests.clear()
    await swap(bench, environment, new, 10)
    assert len(bench.registry_app.state.faults.requests) == 0


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
    engine = await bench.engine(environment)
    async with asyncio.timeout(20):
        while (await names(bench, environment))["shop-new-10"] != "restarting":
            await asyncio.sleep(0.01)
    bench.forget_requests()
    with pytest.raises(Refused, match="serves again"):
        await swap(bench, environment, bad, 10)
    assert not any("shop-new-10/start" in line for line in bench.requests())
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
        engine = Interrupted(await bench.engine(environment), at, thaw)
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
    engine = Interrupted(await bench.engine(environment), "start", thaw)
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
    write_env(bench.folder, "PASSWORD=hunter2\n")

    async def secret() -> list[str]:
        return ["PASSWORD=hunter2"]

    bad = await bench.pulled("1.1.0", "exits_at_once")
    engine = await bench.engine(environment)
    with pytest.raises(Refused) as refused:
        await Swap(engine, swap_order(environment, bad, 10), secret, PATIENT).make()
    assert "hunter2" not in " ".join([str(refused.value), *refused.value.evidence])
    wanted = ContainerToCreate(name="shop", image="x", labels={}, environment=["PASSWORD=hunter2"])
    assert "hunter2" not in repr(wanted)
