"""A host returned to what it ran before: from every state a swap can leave, killed anywhere, resumed too late."""

import asyncio
import contextlib
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
from runbook.service import RestoredHost, WayBack, WayBackToRecord
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
)

# More calls than any put-back makes.
MOST_CALLS = 20


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


async def recorded(bench: Bench, environment: EnvironmentTable, epoch: int = 10) -> WayBack:
    order = WayBackToRecord(ref=ref(epoch), environment=environment, host=ADDRESS, artifact=bench.artifact())
    return await way_back(await bench.engine(environment), order)


async def swap(
    bench: Bench,
    environment: EnvironmentTable,
    image: Image,
    epoch: int = 10,
    *,
    engine: Any = None,
    settle: timedelta = SETTLE,
) -> None:
    used = engine or await bench.engine(environment)
    await telling(Swap(used, swap_order(environment, image, epoch), lines, settle).make())


async def put_back(
    bench: Bench,
    environment: EnvironmentTable,
    back: WayBack,
    epoch: int = 20,
    *,
    engine: Any = None,
    settle: timedelta = SETTLE,
) -> RestoredHost:
    used = engine or await bench.engine(environment)
    return await PuttingBack(used, put_back_order(bench, environment, epoch, back, 10), lines, settle).make()


async def released(bench: Bench, environment: EnvironmentTable, old: Image, new: Image) -> tuple[str, WayBack]:
    """A host on which `new` replaced `old` in the usual way; the old container's id and the way back to it."""
    before = await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    await swap(bench, environment, new)
    return before, back


async def shape(bench: Bench, environment: EnvironmentTable) -> dict[str, tuple[str, str]]:
    return {c.name.replace(environment.container, "shop", 1): (c.id, c.state) for c in await bench.seen(environment)}


async def assert_back(bench: Bench, environment: EnvironmentTable, before: str, epoch: int = 20) -> None:
    seen = await shape(bench, environment)
    assert seen.pop(f"shop-fence-{epoch}")[1] == "created"
    assert seen == {"shop": (before, "running")}
    assert (await (await bench.engine(environment)).inspect(before)).restart == "unless-stopped"
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_the_kept_container_serves_again_and_the_failed_one_is_gone(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    made = await put_back(bench, environment, back)
    await assert_back(bench, environment, before)
    assert (made.container_id, made.kept, made.version) == (before, True, "1.0.0")
    assert made.digest == old.digest
    assert any("listening on port" in line for line in made.evidence)


async def test_it_needs_no_registry_for_the_kept_container(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    bench.registry_app.state.faults.requests.clear()
    await put_back(bench, environment, back)
    await assert_back(bench, environment, before)
    assert len(bench.registry_app.state.faults.requests) == 0


async def test_a_host_that_is_right_already_is_only_fenced(bench: Bench, old: Image) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    await put_back(bench, environment, back)
    await assert_back(bench, environment, before)
    started = (await (await bench.engine(environment)).inspect(before)).started_at
    bench.forget_requests()
    again = await put_back(bench, environment, back)
    assert (again.container_id, again.kept) == (before, True)
    assert len(bench.requests()) == 1
    assert (await (await bench.engine(environment)).inspect(before)).started_at == started


async def test_where_nothing_ran_nothing_is_left(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    back = await recorded(bench, environment)
    await swap(bench, environment, new)
    made = await put_back(bench, environment, back)
    assert (made.container_id, made.digest, made.kept) == (None, None, False)
    assert set(await shape(bench, environment)) == {"shop-fence-20"}


async def test_where_nothing_ran_what_somebody_started_meanwhile_is_left_alone(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    back = await recorded(bench, environment)
    before = await bench.legacy(environment, old)
    await put_back(bench, environment, back)
    assert (await shape(bench, environment))["shop"] == (before, "running")


@pytest.mark.parametrize("image_too", [False, True], ids=["container", "container and image"])
async def test_what_is_gone_is_made_anew_from_its_digest(
    bench: Bench, old: Image, new: Image, *, image_too: bool
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    engine = await bench.engine(environment)
    await engine.remove(before)
    if image_too:
        image = bench.engine_app.state.images.find(old.pinned)
        bench.engine_app.state.images.remove(image.id, force=True, used_by=None)
    made = await put_back(bench, environment, back)
    assert (made.kept, made.version) == (False, "1.0.0")
    details = await engine.inspect("shop")
    assert (details.id, details.image) == (made.container_id, old.reference)
    assert "COLOUR=green" in details.environment
    assert (await answered(environment))["version"] == "v1.0.0"
    assert set(await shape(bench, environment)) == {"shop", "shop-fence-20"}
    again = await put_back(bench, environment, back)
    assert again.container_id == made.container_id


async def test_what_is_gone_without_a_digest_is_refused_before_anything_is_stopped(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    await (await bench.engine(environment)).remove(before)
    lost = back.model_copy(update={"digest": None, "image_id": "sha256:" + "0" * 64})
    with pytest.raises(Refused, match="no digest of it was recorded"):
        await put_back(bench, environment, lost)
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_recorded_container_with_another_image_is_not_taken_for_it(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    other = back.model_copy(update={"image_id": "sha256:" + "1" * 64})
    made = await put_back(bench, environment, other)
    assert made.container_id != before
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_a_kept_container_of_the_recorded_digest_will_do(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await swap(bench, environment, old, epoch=5)
    kept = (await shape(bench, environment))["shop"][0]
    await swap(bench, environment, new)
    back = WayBack(host=ADDRESS, digest=old.digest, version=old.version)
    made = await put_back(bench, environment, back)
    assert (made.container_id, made.kept) == (kept, True)


async def test_the_failed_releases_container_is_not_taken_for_what_ran_before_though_it_has_the_same_image(
    bench: Bench, old: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, old)
    failed = (await shape(bench, environment))["shop"][0]
    await (await bench.engine(environment)).remove(before)
    made = await put_back(bench, environment, back)
    assert made.container_id not in {failed, before}
    assert not made.kept
    assert set(await shape(bench, environment)) == {"shop", "shop-fence-20"}


async def test_another_container_that_serves_is_kept_aside(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    engine = await bench.engine(environment)
    failed = (await shape(bench, environment))["shop"][0]
    await engine.stop(failed, environment.stop_timeout)
    await engine.rename(failed, "shop-broken")
    hot_fix = await bench.legacy(environment, await bench.pulled("1.1.1"))
    await put_back(bench, environment, back)
    seen = await shape(bench, environment)
    assert seen["shop"] == (before, "running")
    assert seen["shop-old-20"] == (hot_fix, "exited")
    # Found by its labels, whatever it is called.
    assert failed not in {identity for identity, _ in seen.values()}


async def test_a_later_run_is_left_alone(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    _, back = await released(bench, environment, old, new)
    await swap(bench, environment, await bench.pulled("1.2.0"), 30)
    before = await shape(bench, environment)
    with pytest.raises(Refused, match="run-30") as refused:
        await put_back(bench, environment, back)
    assert refused.value.cause == Cause.FENCED
    assert await shape(bench, environment) == before


async def test_fences_of_earlier_runs_go_with_the_next_change(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    await put_back(bench, environment, back, 20)
    await put_back(bench, environment, back, 30)
    await assert_back(bench, environment, before, 30)
    await swap(bench, environment, new, 40)
    assert set(await shape(bench, environment)) == {"shop", "shop-old-40"}


async def test_one_that_does_not_start_any_more_is_tried_again_with_its_last_words(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    app = bench.engine_app.state.containers.folder(bench.engine_app.state.containers.find(before)) / "rootfs/app"
    app.rename(app.with_name("hidden"))
    with pytest.raises(Unreachable, match=r"1\.0\.0 ran before and does not stay up now") as ended:
        await put_back(bench, environment, back, settle=PATIENT)
    assert ended.value.cause == Cause.CONTAINER_EXITED
    assert any("service.py" in line for line in ended.value.evidence)
    app.with_name("hidden").rename(app)
    await put_back(bench, environment, back)
    await assert_back(bench, environment, before)


async def test_the_service_is_down_only_from_the_stop_to_the_start(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await released(bench, environment, old, new)
    back = await recorded(bench, environment, 10)
    bench.forget_requests()
    await put_back(bench, environment, back)
    asked = [line.rpartition("/")[2] for line in bench.requests() if line.startswith("POST")]
    assert asked.index("start") == asked.index("stop") + 1


@pytest.mark.parametrize("kind", ["good", "exits_at_once"])
async def test_from_every_state_that_a_swap_leaves_the_host_comes_back(bench: Bench, old: Image, kind: Any) -> None:
    image = await bench.pulled("1.1.0", kind)

    async def one(environment: EnvironmentTable, at: int) -> None:
        before = await bench.legacy(environment, old)
        back = await recorded(bench, environment)
        with contextlib.suppress(Killed, StepError):
            engine = Interrupted(await bench.engine(environment), at)
            await swap(bench, environment, image, engine=engine, settle=SETTLE if kind == "good" else PATIENT)
        await put_back(bench, environment, back)
        await assert_back(bench, environment, before)

    calls = range(2, 14) if kind == "good" else range(9, 22)
    await together(one(service, at) for at, service in services(bench, calls))


async def test_killed_before_any_call_the_next_attempt_makes_it_right(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable, at: int) -> None:
        before, back = await released(bench, environment, old, new)
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(await bench.engine(environment), at))
        await put_back(bench, environment, back)
        await assert_back(bench, environment, before)

    await together(one(service, at) for at, service in services(bench, range(2, MOST_CALLS)))


async def test_killed_while_it_makes_one_anew_it_makes_one(bench: Bench, old: Image, new: Image) -> None:
    async def one(environment: EnvironmentTable, at: int) -> None:
        before, back = await released(bench, environment, old, new)
        await (await bench.engine(environment)).remove(before)
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(await bench.engine(environment), at))
        made = await put_back(bench, environment, back)
        assert made.container_id
        await assert_back(bench, environment, made.container_id)

    await together(one(service, at) for at, service in services(bench, range(5, MOST_CALLS)))


async def test_an_attempt_that_comes_back_to_life_after_a_later_release_changes_nothing(
    bench: Bench, old: Image, new: Image
) -> None:
    third = await bench.pulled("1.2.0")

    async def one(environment: EnvironmentTable, at: int) -> None:
        _, back = await released(bench, environment, old, new)
        thaw = asyncio.Event()
        engine = Interrupted(await bench.engine(environment), at, thaw)
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
    engine = await bench.engine(environment)
    # The failed release got as far as the name; its stop reached the engine and is still working there.
    await engine.rename(before, "shop-old-10")
    await engine.set_restart("shop-old-10", "no")
    stopping = asyncio.create_task(engine.stop("shop-old-10", environment.stop_timeout))
    await put_back(bench, environment, back)
    await asyncio.gather(stopping, return_exceptions=True)
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
    engine = await bench.engine(environment)
    await put_back(bench, environment, WayBack(host=ADDRESS))
    assert set(await shape(bench, environment)) == {"shop-fence-20"}
    fence = await engine.inspect("shop-fence-20")
    assert fence.port_bindings in ({}, None)
    with pytest.raises(Refused, match="shop-fence-20 of a later run"):
        await swap(bench, environment, new)
    assert set(await shape(bench, environment)) == {"shop-fence-20"}


async def test_the_failed_release_on_another_container_name_is_not_touched(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    engine = await bench.engine(environment)
    other = ContainerToCreate(name="till", image=new.reference, labels=labels(ref(10), "till", "1.1.0", new.digest))
    identity = await engine.create(other)
    await put_back(bench, environment, WayBack(host=ADDRESS))
    assert (await engine.inspect(identity)).state == "created"
