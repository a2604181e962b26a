"""Containers beside the service that only have names like its own: no step touches them, whatever they do."""

import contextlib

import pytest

from activities.clients.engine_container import ContainerToCreate
from activities.inspection import InspectionActivities
from runbook.host_state import HostToInspect
from runbook.image import Image
from tests.activities.crossing_bench import Behind
from tests.activities.host_bench import ADDRESS, Bench, Interrupted, Killed, ref
from tests.activities.performing import perform
from tests.activities.returning import put_back, recorded, swap
from tests.epochs import in_full

RUNNING = ("shop-back-1", "shop-old-20240131", "shop-fence-3")
STOPPED = ("shop-old-1", "shop-gone-2-abc", "shop-back-1706659200", in_full("shop-back-4"))
CREATED = ("shop-new-1", "shop-new-99", in_full("shop-new-5"))
# As `shop-back-4` above: its number could be an epoch, but no other container tells of such a run.
LIKE_OURS = in_full("shop-old-3")


async def strangers(bench: Bench, image: Image, *more: str) -> dict[str, str]:
    """Name to id."""
    engine, made = bench.engine, dict[str, str]()
    for name in (*RUNNING, *STOPPED, *CREATED, *more):
        made[name] = await engine.create(ContainerToCreate(name=name, image=image.reference, labels={}))
        if name not in CREATED:
            await bench.engine.start(made[name])
        if name in STOPPED:
            await engine.stop(made[name], bench.environment().stop_timeout)
    return made


async def assert_untouched(bench: Bench, made: dict[str, str]) -> None:
    seen = {c.name: (c.id, c.state) for c in await bench.engine.containers()}
    states = {**dict.fromkeys(made, "running"), **dict.fromkeys(STOPPED, "exited"), **dict.fromkeys(CREATED, "created")}
    wanted = {name: (identity, states[name]) for name, identity in made.items()}
    assert {name: seen.get(name) for name in made} == wanted


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "made anew"])
async def test_a_release_and_its_return_leave_strangers_alone(
    bench: Bench, old: Image, new: Image, *, is_kept: bool
) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    made = await strangers(bench, old, LIKE_OURS)
    back = await recorded(bench, environment)
    assert back.container_id == before
    await swap(bench, environment, new)
    await assert_untouched(bench, made)
    if not is_kept:
        await bench.engine.remove(before)
    for call in ("stop", "start", "never"):
        with contextlib.suppress(Killed):
            await put_back(bench, environment, back, engine=Interrupted(bench.engine, call))
    await assert_untouched(bench, made)
    assert ((await bench.engine.inspect("shop")).id == before) is is_kept
    await swap(bench, environment, new, 40)
    await assert_untouched(bench, made)


async def test_on_a_host_without_the_service_a_stranger_is_not_what_ran_before(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    made = await strangers(bench, new)
    back = await recorded(bench, environment)
    assert (back.container_id, back.image_id) == (None, None)
    await swap(bench, environment, new)
    await put_back(bench, environment, back)
    await assert_untouched(bench, made)


async def test_behind_a_proxy_strangers_are_left_alone_too(bench: Bench, old: Image, new: Image) -> None:
    behind = Behind.of(bench)
    first = await behind.swap(old, 5)
    made = await strangers(bench, old, LIKE_OURS)
    back = await behind.recorded(10)
    assert back.container_id == first.container_id
    await behind.swap(new, 10, back=back)
    await assert_untouched(bench, made)
    await behind.put_back(back, 20, failed=10)
    await assert_untouched(bench, made)
    assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])


async def test_a_stranger_is_no_second_one_of_the_service(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await swap(bench, environment, new)
    await strangers(bench, old)
    order = HostToInspect(ref=ref(90), environment=environment, host=ADDRESS, artifact=bench.artifact())
    assert (await perform(InspectionActivities(bench.hosts).inspect, order)).others == []


async def test_one_without_labels_that_a_swap_cut_short_left_running_is_found_and_replaced(
    bench: Bench, old: Image, new: Image
) -> None:
    """Killed between the name and the stop; what it had created was pruned since."""
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    with contextlib.suppress(Killed):
        await swap(bench, environment, new, 10, engine=Interrupted(bench.engine, "stop"))
    await bench.engine.remove(in_full("shop-new-10"))
    assert [(c.name, c.state) for c in await bench.seen(environment)] == [(in_full("shop-old-10"), "running")]
    back = await recorded(bench, environment, 30)
    assert back.container_id == before
    await swap(bench, environment, new, 30)
    shape = await bench.shape(environment)
    assert shape[in_full("shop-old-30")] == (before, "exited")
    assert set(shape) == {"shop", in_full("shop-old-30")}
