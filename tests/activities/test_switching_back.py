"""Putting back behind a proxy: what ran before proves itself beside the failed one, and only then has the traffic."""

import contextlib

import pytest

from activities.errors import Refused, Unreachable
from runbook.image import Image
from runbook.service import WayBack
from runbook.trouble import Cause
from tests.activities.crossing_bench import Behind, Cut, sweep
from tests.activities.host_bench import ADDRESS, Bench, Killed
from tests.epochs import epoch_of


@pytest.fixture
def behind(bench: Bench) -> Behind:
    return Behind.of(bench)


async def released(behind: Behind, old: Image, new: Image) -> tuple[str, WayBack]:
    """A host on which `new` replaced `old` in the usual way; the old container's id and the way back to it."""
    first = await behind.swap(old, 5)
    back = await behind.recorded(10)
    await behind.swap(new, 10, back=back)
    return first.container_id, back


async def assert_back(behind: Behind, container: str, epoch: int = 20) -> None:
    seen = await behind.shape()
    assert seen.pop(f"shop-fence-{epoch}")[1] == "created"
    assert seen == {"shop": (container, "running")}
    details = await behind.bench.engine.inspect(container)
    assert details.restart == "unless-stopped"
    assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])
    assert (await behind.seen())["shop"].labels["runbook.upstream"] == behind.proxy.now.upstream


async def test_the_kept_container_has_the_traffic_again(behind: Behind, old: Image, new: Image) -> None:
    before, back = await released(behind, old, new)
    restored = await behind.put_back(back, 20, failed=10)
    await assert_back(behind, before)
    assert (restored.container_id, restored.kept, restored.version) == (before, True, "1.0.0")


async def test_made_again_it_changes_nothing(behind: Behind, old: Image, new: Image) -> None:
    before, back = await released(behind, old, new)
    await behind.put_back(back, 20, failed=10)
    shape, sent = await behind.shape(), list(behind.proxy.sent)
    await behind.put_back(back, 20, failed=10)
    assert (await behind.shape(), behind.proxy.sent) == (shape, sent)
    await assert_back(behind, before)


async def test_one_that_is_gone_is_made_anew_beside_the_failed_one(behind: Behind, old: Image, new: Image) -> None:
    before, back = await released(behind, old, new)
    await behind.bench.engine.remove(before)
    restored = await behind.put_back(back, 20, failed=10)
    assert restored.container_id
    assert restored.container_id != before
    await assert_back(behind, restored.container_id)


async def test_one_that_is_gone_and_never_had_a_digest_is_made_anew_from_its_image(
    behind: Behind, old: Image, new: Image
) -> None:
    first = await behind.swap(old, 5)
    behind.bench.engine_app.state.images.find(old.pinned).digests.clear()
    back = await behind.recorded(10)
    await behind.swap(new, 10, back=back)
    await behind.bench.engine.remove(first.container_id)
    restored = await behind.put_back(back, 20, failed=10)
    assert (back.digest, restored.kept) == (None, False)
    assert restored.container_id
    await assert_back(behind, restored.container_id)
    shape, sent = await behind.shape(), list(behind.proxy.sent)
    assert (await behind.put_back(back, 20, failed=10)).container_id == restored.container_id
    assert (await behind.shape(), behind.proxy.sent) == (shape, sent)


async def test_one_that_published_its_port_is_made_anew_behind_the_proxy(
    behind: Behind, old: Image, new: Image
) -> None:
    before = await behind.bench.legacy(behind.environment, old)
    back = await behind.recorded(10)
    await behind.bench.engine.stop(before, behind.environment.stop_timeout)
    await behind.swap(new, 10, back=back)
    restored = await behind.put_back(back, 20, failed=10)
    assert restored.container_id not in {None, before}
    assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])


async def test_after_a_swap_that_was_refused_what_publishes_its_port_is_left_as_it_is(
    behind: Behind, old: Image, new: Image
) -> None:
    before, engine = await behind.bench.legacy(behind.environment, old), behind.bench.engine
    back = await behind.recorded(10)
    with pytest.raises(Refused, match="no address in network shop"):
        await behind.swap(new, 10, back=back)
    was, traffic = await engine.inspect(before), behind.proxy.now
    for _ in range(2):
        restored = await behind.put_back(back, 20, failed=10)
        assert (restored.container_id, restored.kept, restored.version) == (before, True, "1.0.0")
    assert await behind.states() == {"shop": "running", "shop-fence-20": "created"}
    assert (await engine.inspect("shop"), behind.proxy.now, behind.proxy.sent) == (was, traffic, [])


async def test_one_that_publishes_its_port_and_runs_again_has_not_the_traffic_that_was_switched(
    bench: Bench, old: Image, new: Image
) -> None:
    """It had ended, so the swap was not refused; somebody started it when the failed one had the traffic already."""

    async def one(behind: Behind, at: int) -> None:
        before, engine = await bench.legacy(behind.environment, old), bench.engine
        back = await behind.recorded(10)
        await engine.stop(before, behind.environment.stop_timeout)
        await behind.killed(new, 10, "rename", back)
        await engine.start(before)
        assert (await behind.served(), (await behind.shape())["shop"]) == ("v1.1.0", (before, "running"))
        with contextlib.suppress(Killed):
            await behind.put_back(back, 20, failed=10, cut=Cut(at))
        restored = await behind.put_back(back, 20, failed=10)
        assert restored.container_id not in {None, before}
        assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])
        states = {"shop": "running", "shop-old-20": "exited", "shop-fence-20": "created"}
        assert await behind.states() == states

    await sweep(bench, range(2, 30, 3), one)


async def test_where_nothing_ran_before_nothing_runs_again(behind: Behind, new: Image) -> None:
    await behind.swap(new, 10)
    await behind.put_back(WayBack(host=ADDRESS), 20, failed=10)
    assert await behind.states() == {"shop-fence-20": "created"}
    assert (await behind.served(), behind.proxy.now.epoch) == (None, epoch_of(20))


async def test_a_release_that_never_got_the_traffic_leaves_it_where_it_is(
    behind: Behind, old: Image, new: Image
) -> None:
    first = await behind.swap(old, 5)
    back = await behind.recorded(10)
    # Dead with the new one up, before its switch.
    await behind.killed(new, 10, "inspect", back)
    assert (await behind.states())["shop-new-10"] == "running"
    await behind.put_back(back, 20, failed=10)
    assert behind.proxy.now.upstream == behind.upstreams[1]
    await assert_back(behind, first.container_id)
    with pytest.raises(Refused) as refused:
        await behind.swap(new, 10, back=back)
    assert refused.value.cause is Cause.FENCED


async def test_one_before_that_is_not_well_leaves_the_traffic_and_is_tried_again(bench: Bench, new: Image) -> None:
    behind = Behind.of(bench, health_deadline="600ms")
    await behind.swap(await bench.pulled("1.0.0"), 5)
    back = await behind.recorded(10)
    await behind.swap(new, 10, back=back)
    lying = back.model_copy(update={"version": "0.9.0"})
    with pytest.raises(Unreachable, match=r"not fit for traffic within 0\.6 s") as silent:
        await behind.put_back(lying, 20, failed=10)
    assert silent.value.cause is Cause.CONTAINER_EXITED
    assert await behind.served() == "v1.1.0"
    await behind.put_back(back, 20, failed=10)
    assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])


async def test_one_whose_address_the_failed_one_has_is_started_after_it(behind: Behind, old: Image, new: Image) -> None:
    """As when the addresses were changed between two releases."""
    before, back = await released(behind, old, new)
    engine = behind.bench.engine
    await engine.stop("shop", behind.environment.stop_timeout)
    await engine.remove("shop")
    label = (await behind.seen())["shop-old-10"].labels["runbook.upstream"]
    made = (await behind.means(10)).engine
    wanted = await behind.same_address(new, label, 10)
    await made.create(wanted)
    await made.start("shop")
    await behind.proxy.send(behind.proxy.now, label, epoch_of(10))
    behind.proxy.unfit.clear()
    await behind.put_back(back, 20, failed=10)
    await assert_back(behind, before)
