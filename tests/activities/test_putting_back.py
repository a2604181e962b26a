"""A host returned to what it ran before: from every state a swap can leave, killed anywhere, resumed too late."""

import contextlib

import pytest

from activities.errors import Refused, Unreachable
from runbook.image import Image
from runbook.service import WayBack
from runbook.trouble import Cause
from tests.activities.host_bench import (
    ADDRESS,
    PATIENT,
    Bench,
    Interrupted,
    Killed,
)
from tests.activities.returning import (
    assert_back,
    put_back,
    recorded,
    released,
    shape,
    swap,
)


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
    started = (await bench.engine.inspect(before)).started_at
    bench.forget_requests()
    again = await put_back(bench, environment, back)
    assert (again.container_id, again.kept) == (before, True)
    assert len(bench.requests()) == 1
    assert (await bench.engine.inspect(before)).started_at == started


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
    await bench.engine.remove(before)
    made = await put_back(bench, environment, back)
    assert made.container_id not in {failed, before}
    assert not made.kept
    assert set(await shape(bench, environment)) == {"shop", "shop-fence-20"}


async def test_another_container_that_serves_is_kept_aside(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    engine = bench.engine
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


async def test_one_that_was_started_after_another_was_kept_aside_is_kept_beside_it(
    bench: Bench, old: Image, new: Image
) -> None:
    environment, engine = bench.environment(), bench.engine
    before, back = await released(bench, environment, old, new)
    await engine.stop("shop", environment.stop_timeout)
    await engine.rename("shop", "shop-broken")
    started: list[str] = []
    for version in ("1.1.1", "1.1.2"):
        started.append(await bench.legacy(environment, await bench.pulled(version)))
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(engine, "start"))
    await put_back(bench, environment, back)
    seen = await shape(bench, environment)
    assert seen["shop"] == (before, "running")
    assert [identity for identity in started if (identity, "exited") not in seen.values()] == []
    # Until the next release, as what any release keeps.
    await swap(bench, environment, new, 40)
    assert set(await shape(bench, environment)) == {"shop", "shop-old-40"}


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
