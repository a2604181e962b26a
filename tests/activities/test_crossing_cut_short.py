"""Swaps and puttings back behind a proxy, cut short: killed between any two calls, resumed too late, made twice at once."""

import asyncio
import contextlib
from typing import Any

import pytest

from activities.errors import Refused, StepError, Unreachable
from runbook.image import Image
from runbook.service import RestoredHost, SwappedContainer, WayBack
from tests.activities.crossing_bench import Behind, Cut, sweep
from tests.activities.host_bench import Bench, Killed
from tests.activities.test_switching_back import assert_back, released

# From the first call after which anything is there to one more than it makes.
SWAP_CALLS = range(3, 21)
GIVING_UP = range(8, 21)
PUT_BACK_CALLS = range(2, 28)


async def begun(behind: Behind, old: Image) -> tuple[str, WayBack]:
    """A service as the release before left it."""
    first = await behind.swap(old, 5)
    return first.container_id, await behind.recorded(10)


async def test_a_swap_killed_before_any_call_is_made_right_by_the_next(bench: Bench, old: Image, new: Image) -> None:
    async def one(behind: Behind, at: int) -> None:
        before, back = await begun(behind, old)
        await behind.killed(new, 10, at, back)
        # Whenever it died, somebody well has the traffic.
        assert await behind.served() in {"v1.0.0", "v1.1.0"}
        await behind.swap(new, 10, back=back)
        await behind.assert_swapped(new, 10, before)

    await sweep(bench, SWAP_CALLS, one)


@pytest.mark.parametrize("kind", ["exits_at_once", "wrong_version"])
async def test_killed_while_it_gives_up_it_still_gives_up(bench: Bench, old: Image, kind: Any) -> None:
    bad = await bench.pulled("1.1.0", kind)

    async def one(behind: Behind, at: int) -> None:
        before, back = await begun(behind, old)
        await behind.killed(bad, 10, at, back)
        await given_up(behind, bad, back)
        assert await behind.shape() == {"shop": (before, "running")}
        assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])

    await sweep(bench, GIVING_UP, one, health_deadline="800ms")


async def given_up(behind: Behind, bad: Image, back: WayBack) -> None:
    """As the step's policy has it: what was only in the way of one attempt is tried again, a refusal is not."""
    for _ in range(3):
        with pytest.raises(StepError, match=r"serves on|changed") as error:
            await behind.swap(bad, 10, back=back)
        if isinstance(error.value, Refused):
            return
    raise AssertionError(str(error.value))


async def test_what_a_terminated_release_left_is_repaired_by_the_next(bench: Bench, old: Image, new: Image) -> None:
    third = await bench.pulled("1.2.0")

    async def one(behind: Behind, at: int) -> None:
        before, back = await begun(behind, old)
        await behind.killed(new, 10, at, back)
        again = await behind.recorded(20)
        await behind.swap(third, 20, back=again)
        assert (await behind.served(), behind.proxy.unfit) == ("v1.2.0", [])
        kept = {name: c for name, c in (await behind.shape()).items() if name != "shop"}
        assert list(kept.values()) == [(again.container_id, "exited")]
        assert again.container_id == before or again.version == "1.1.0"

    await sweep(bench, SWAP_CALLS, one)


async def test_from_every_state_that_a_swap_leaves_the_host_comes_back(bench: Bench, old: Image, new: Image) -> None:
    async def one(behind: Behind, at: int) -> None:
        before, back = await begun(behind, old)
        await behind.killed(new, 10, at, back)
        await behind.put_back(back, 20, failed=10)
        await assert_back(behind, before)

    await sweep(bench, SWAP_CALLS, one)


async def test_a_putting_back_killed_before_any_call_is_made_right_by_the_next(
    bench: Bench, old: Image, new: Image
) -> None:
    async def one(behind: Behind, at: int) -> None:
        before, back = await released(behind, old, new)
        with contextlib.suppress(Killed):
            await behind.put_back(back, 20, failed=10, cut=Cut(at))
        assert await behind.served() in {"v1.0.0", "v1.1.0"}
        await behind.put_back(back, 20, failed=10)
        await assert_back(behind, before)

    await sweep(bench, PUT_BACK_CALLS, one)


async def later_swap(behind: Behind, back: WayBack, then: Image) -> str:
    await behind.swap(then, 30)
    return then.tag


async def later_return(behind: Behind, back: WayBack, then: Image) -> str:
    await behind.put_back(back, 30, failed=10)
    return "v1.0.0"


@pytest.mark.parametrize(
    ("later", "succeeded", "kind"),
    [
        (later_swap, True, "good"),
        (later_swap, False, "good"),
        (later_return, True, "good"),
        (later_return, False, "good"),
        (later_swap, True, "wrong_version"),
        (later_return, False, "wrong_version"),
    ],
)
async def test_a_swap_that_comes_back_to_life_after_a_later_run_changes_nothing(
    bench: Bench, old: Image, later: Any, kind: Any, *, succeeded: bool
) -> None:
    image, third = await bench.pulled("1.1.0", kind), await bench.pulled("1.2.0")

    async def one(behind: Behind, at: int) -> None:
        _, back = await begun(behind, old)
        thaw = asyncio.Event()
        cut = Cut(at, thaw)
        late = asyncio.create_task(behind.swap(image, 10, back=back, cut=cut))
        await _frozen(late, cut)
        if succeeded:
            await asyncio.gather(behind.swap(image, 10, back=back), return_exceptions=True)
        version = await later(behind, back, third)
        before = (await behind.shape(), behind.proxy.now.upstream)
        thaw.set()
        await asyncio.gather(late, return_exceptions=True)
        assert (await behind.shape(), behind.proxy.now.upstream) == before
        assert (await behind.served(), behind.proxy.unfit) == (version, [])

    deadline = "30s" if kind == "good" else "500ms"
    await sweep(bench, SWAP_CALLS, one, health_deadline=deadline)


async def test_a_putting_back_that_comes_back_to_life_after_a_later_release_changes_nothing(
    bench: Bench, old: Image, new: Image
) -> None:
    third = await bench.pulled("1.2.0")

    async def one(behind: Behind, at: int) -> None:
        _, back = await released(behind, old, new)
        thaw = asyncio.Event()
        cut = Cut(at, thaw)
        late = asyncio.create_task(behind.put_back(back, 20, failed=10, cut=cut))
        await _frozen(late, cut)
        if at % 2:
            await behind.put_back(back, 20, failed=10)
        await behind.swap(third, 30)
        before = (await behind.shape(), behind.proxy.now.upstream)
        thaw.set()
        await asyncio.gather(late, return_exceptions=True)
        assert (await behind.shape(), behind.proxy.now.upstream) == before
        assert (await behind.served(), behind.proxy.unfit) == ("v1.2.0", [])

    await sweep(bench, PUT_BACK_CALLS, one)


async def _frozen(late: "asyncio.Task[Any]", cut: Cut) -> None:
    frozen = asyncio.create_task(cut.frozen.wait())
    await asyncio.wait({late, frozen}, return_when=asyncio.FIRST_COMPLETED)
    frozen.cancel()


async def test_made_by_several_at_once_each_is_made_once(bench: Bench, old: Image, new: Image) -> None:
    async def one(behind: Behind, _: int) -> None:
        before, back = await begun(behind, old)
        swaps = await asyncio.gather(*(behind.swap(new, 10, back=back) for _ in range(3)), return_exceptions=True)
        for swap in swaps:
            assert isinstance(swap, (SwappedContainer, Unreachable)), swap
        await behind.swap(new, 10, back=back)
        await behind.assert_swapped(new, 10, before)
        backs = await asyncio.gather(*(behind.put_back(back, 20, 10) for _ in range(3)), return_exceptions=True)
        for each in backs:
            assert isinstance(each, (RestoredHost, Unreachable)), each
        await behind.put_back(back, 20, failed=10)
        await assert_back(behind, before)

    await sweep(bench, range(4), one)


async def test_cancelled_while_the_new_one_proves_itself_nothing_is_switched(bench: Bench, old: Image) -> None:
    behind = Behind.of(bench)
    before, back = await begun(behind, old)
    slow = await bench.pulled("1.1.0", "slow_start", seconds=20.0)
    attempt = asyncio.create_task(behind.swap(slow, 10, back=back))
    async with asyncio.timeout(20):
        while (await behind.states()).get("shop-new-10") != "running":
            await asyncio.sleep(0.02)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert (await behind.shape())["shop"] == (before, "running")
    assert await behind.served() == "v1.0.0"
    await behind.put_back(back, 20, failed=10)
    await assert_back(behind, before)


async def test_cancelled_at_the_switch_the_traffic_is_where_the_name_is_or_it_can_be_put_back(
    bench: Bench, old: Image, new: Image
) -> None:
    behind = Behind.of(bench)
    before, back = await begun(behind, old)
    thaw = asyncio.Event()
    cut = Cut("under_way", thaw)
    attempt = asyncio.create_task(behind.swap(new, 10, back=back, cut=cut))
    await cut.frozen.wait()
    attempt.cancel()
    with pytest.raises((asyncio.CancelledError, StepError)):
        await attempt
    assert await behind.served() == "v1.1.0"
    await behind.put_back(back, 20, failed=10)
    await assert_back(behind, before)
