"""Swaps behind a proxy: where they end, and that what is not fit for traffic never gets any."""

import asyncio
from typing import Any

import pytest

from activities.clients.caddy import Traffic
from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, Unreachable
from activities.family import labels
from activities.swap import Swap
from runbook.image import Image
from runbook.proxy_table import Strategy
from runbook.trouble import Cause
from tests.activities.crossing_bench import Behind, Cut, lines, never
from tests.activities.host_bench import ADDRESS, SETTLE, Bench, ref, swap_order
from tests.epochs import epoch_of, in_full


@pytest.fixture
def behind(bench: Bench) -> Behind:
    return Behind.of(bench)


async def test_the_first_release_of_a_service_takes_the_traffic_once_it_is_well(behind: Behind, new: Image) -> None:
    made = await behind.swap(new, 10)
    assert (made.previous_id, await behind.states()) == (None, {"shop": "running"})
    assert (await behind.served(), behind.proxy.unfit) == ("v1.1.0", [])
    # Taken first, with an upstream that nobody is at, so that the new one is not reached before it is proven.
    assert behind.proxy.sent == [behind.upstreams[0], behind.upstreams[1]]


async def test_the_new_one_serves_and_the_old_one_is_kept_stopped(behind: Behind, old: Image, new: Image) -> None:
    first = await behind.swap(old, 10)
    second = await behind.swap(new, 20, back=await behind.recorded(20))
    await behind.assert_swapped(new, 20, first.container_id)
    engine = behind.bench.engine
    made, kept = await engine.inspect(second.container_id), await engine.inspect(first.container_id)
    assert (made.restart, kept.restart, second.previous_id) == ("unless-stopped", "no", first.container_id)
    assert made.port_bindings in (None, {})
    assert "COLOUR=green" in made.environment


async def test_releases_take_the_two_addresses_in_turn_and_keep_one_container(
    behind: Behind, old: Image, new: Image
) -> None:
    await behind.swap(old, 10)
    second = await behind.swap(new, 20)
    third = await behind.bench.pulled("1.2.0")
    await behind.swap(third, 30)
    await behind.assert_swapped(third, 30, second.container_id)
    switches = [upstream for upstream, _ in zip(behind.proxy.sent[1::2], "abc", strict=True)]
    assert switches == [behind.upstreams[1], behind.upstreams[0], behind.upstreams[1]]


async def test_a_swap_that_is_done_changes_nothing_and_asks_little(behind: Behind, old: Image, new: Image) -> None:
    await behind.swap(old, 10)
    first = await behind.swap(new, 20)
    before, sent = await behind.shape(), list(behind.proxy.sent)
    behind.bench.forget_requests()
    again = await behind.swap(new, 20)
    assert (again.container_id, again.previous_id) == (first.container_id, first.previous_id)
    assert (len(behind.bench.requests()), behind.proxy.sent) == (1, sent)
    assert await behind.shape() == before


async def test_a_release_takes_few_calls(behind: Behind, old: Image, new: Image) -> None:
    await behind.swap(old, 10)
    await behind.swap(new, 20)
    third = await behind.bench.pulled("1.2.0")
    cut = Cut(at=0)
    behind.bench.forget_requests()
    await behind.swap(third, 30, cut=cut)
    looks = [line for line in behind.bench.requests() if line.startswith("GET ")]
    changes = [line for line in behind.bench.requests() if not line.startswith("GET ")]
    assert len(changes) == 7, changes
    assert len(looks) <= 10, looks


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("exits_at_once", Cause.CONTAINER_EXITED),
        ("crash_loop", Cause.CONTAINER_EXITED),
        ("unhealthy", Cause.UNHEALTHY),
        ("wrong_version", Cause.WRONG_VERSION),
    ],
)
async def test_what_is_not_fit_never_gets_traffic_and_the_old_one_is_not_touched(
    bench: Bench, old: Image, kind: Any, cause: Cause
) -> None:
    behind = Behind.of(bench, health_deadline="1s")
    await behind.swap(old, 10)
    engine = bench.engine
    before = (await behind.shape(), await engine.inspect("shop"), behind.proxy.now.upstream)
    bad = await bench.pulled("1.1.0", kind, seconds=0.02)
    with pytest.raises(Refused, match=r"v1\.1\.0 did not .*, v1\.0\.0 serves on") as refused:
        await behind.swap(bad, 20)
    assert (refused.value.cause, refused.value.retryable) == (cause, False)
    assert any(
        "missing setting" in line or "lost the" in line or "listening" in line for line in refused.value.evidence
    )
    assert (await behind.shape(), await engine.inspect("shop"), behind.proxy.now.upstream) == before
    assert behind.upstreams[0] not in behind.proxy.sent[2:]


async def test_a_first_release_that_is_not_fit_leaves_nothing(bench: Bench) -> None:
    behind = Behind.of(bench)
    with pytest.raises(Refused, match="nothing ran before"):
        await behind.swap(await bench.pulled("1.1.0", "exits_at_once"), 10)
    assert (await behind.shape(), behind.proxy.unfit) == ({}, [])


async def test_one_that_starts_slowly_has_its_time(bench: Bench, old: Image) -> None:
    behind = Behind.of(bench)
    await behind.swap(old, 10)
    slow = await bench.pulled("1.1.0", "slow_start", seconds=0.8)
    await behind.swap(slow, 20)
    assert (await behind.served(), behind.proxy.unfit) == ("v1.1.0", [])


async def test_an_address_that_a_stranger_holds_is_worth_another_attempt(
    behind: Behind, old: Image, new: Image
) -> None:
    await behind.swap(old, 10)
    host, _, port = behind.upstreams[0].partition(":")
    async with await asyncio.start_server(lambda _, writer: writer.close(), host, int(port)):
        with pytest.raises(Unreachable, match="serves on") as taken:
            await behind.swap(new, 20)
    assert any("already in use" in line for line in taken.value.evidence)
    assert await behind.served() == "v1.0.0"
    await behind.swap(new, 20)
    assert await behind.served() == "v1.1.0"


async def test_a_container_that_publishes_its_port_is_not_switched_from(behind: Behind, old: Image, new: Image) -> None:
    await behind.bench.legacy(behind.environment, old)
    before = await behind.shape()
    with pytest.raises(Refused, match=r"no address in network shop.*`docker rename shop shop-before`, release"):
        await behind.swap(new, 10)
    assert (await behind.shape(), behind.proxy.sent) == (before, [])
    engine = behind.bench.engine
    await engine.rename("shop", "before")
    published = f"{ADDRESS}:{behind.environment.port}"
    behind.proxy.now = Traffic(published, seen="by hand")
    await behind.swap(new, 10)
    assert (await behind.served(), behind.proxy.unfit) == ("v1.1.0", [])
    assert behind.proxy.sent == [published, behind.upstreams[0]]
    assert (await engine.inspect("before")).running


async def test_a_container_behind_a_proxy_is_not_recreated(behind: Behind, old: Image, new: Image) -> None:
    await behind.swap(old, 10)
    before = await behind.shape()
    plain = behind.environment.model_copy(update={"proxy": None, "strategy": Strategy.RECREATE})
    engine = behind.bench.engine
    with pytest.raises(Refused, match=r"runs behind a proxy.*strategy = \"blue_green\" again"):
        await Swap(engine, swap_order(plain, new, 20), lines, SETTLE).make()
    assert await behind.shape() == before


async def test_a_proxy_that_forgot_where_the_traffic_goes_is_told_again(behind: Behind, old: Image, new: Image) -> None:
    first = await behind.swap(old, 10)
    # As a Caddy that was restarted with the configuration of its installation.
    behind.proxy.now = Traffic(behind.upstreams[0], seen="forgotten")
    await behind.swap(new, 20)
    # First back to what serves, then on to the new one, beside it: never to one that is not proven.
    assert behind.proxy.sent[2:] == [behind.upstreams[1], behind.upstreams[0]]
    await behind.assert_swapped(new, 20, first.container_id)


async def test_one_that_ends_after_the_switch_gives_the_traffic_back(behind: Behind, old: Image, new: Image) -> None:
    first = await behind.swap(old, 10)
    made = await behind.swap(new, 20)
    engine = behind.bench.engine
    await engine.set_restart(made.container_id, "no")
    await engine.stop(made.container_id, behind.environment.stop_timeout)
    with pytest.raises(Refused, match=r"v1\.0\.0 serves on") as refused:
        await behind.swap(new, 20)
    assert refused.value.cause is Cause.CONTAINER_EXITED
    assert await behind.shape() == {"shop": (first.container_id, "running")}
    assert (await behind.served(), behind.proxy.unfit) == ("v1.0.0", [])
    assert (await engine.inspect("shop")).restart == "unless-stopped"


async def test_where_neither_is_fit_it_is_said_and_tried_again(behind: Behind, bench: Bench, new: Image) -> None:
    await behind.swap(await bench.pulled("1.0.0"), 10)
    made = await behind.swap(new, 20)
    engine = bench.engine
    await engine.stop(made.container_id, behind.environment.stop_timeout)
    host, _, port = behind.upstreams[1].partition(":")
    async with await asyncio.start_server(lambda _, writer: writer.close(), host, int(port)):
        with pytest.raises(Unreachable, match="nothing serves there"):
            await behind.swap(new, 20)
    with pytest.raises(Refused, match=r"v1\.0\.0 serves on"):
        await behind.swap(new, 20)
    assert await behind.served() == "v1.0.0"


async def test_the_old_one_is_stopped_when_it_has_answered_its_last_request(
    behind: Behind, old: Image, new: Image
) -> None:
    await behind.swap(old, 10)
    behind.proxy.busy[behind.upstreams[1]] = 1
    swapping = asyncio.create_task(behind.swap(new, 20))
    async with asyncio.timeout(20):
        while await behind.served() != "v1.1.0" or "shop-old-20" not in await behind.states():
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    assert (await behind.states())["shop-old-20"] == "running"
    behind.proxy.busy.clear()
    await swapping
    assert (await behind.states())["shop-old-20"] == "exited"


async def test_a_request_without_end_is_not_waited_for_longer_than_allowed(
    bench: Bench, old: Image, new: Image
) -> None:
    pair = Behind.of(bench).environment.proxy
    assert pair
    behind = Behind.of(bench, proxy={**pair.model_dump(), "drain": "400ms"})
    await behind.swap(old, 10)
    behind.proxy.busy[behind.upstreams[1]] = 1
    async with asyncio.timeout(20):
        await behind.swap(new, 20)
    assert (await behind.states())["shop-old-20"] == "exited"


async def test_a_later_run_at_the_proxy_is_left_alone(behind: Behind, old: Image, new: Image) -> None:
    await behind.swap(old, 10)
    before, taken = await behind.shape(), Traffic(behind.proxy.now.upstream, epoch_of(30), 1, "taken")
    behind.proxy.now = taken
    with pytest.raises(Refused, match="taken by a later run") as refused:
        await behind.swap(new, 20)
    assert refused.value.cause is Cause.FENCED
    assert (await behind.shape(), behind.proxy.now) == (before, taken)


async def test_a_later_run_on_the_engine_is_left_alone(behind: Behind, old: Image, new: Image) -> None:
    await behind.swap(old, 10)
    engine = behind.bench.engine
    fence = ContainerToCreate(
        name=in_full("shop-fence-30"), image=old.reference, labels=labels(ref(30), "shop", "", "")
    )
    await engine.create(fence)
    before = (await behind.shape(), behind.proxy.now)
    with pytest.raises(Refused, match=in_full("shop-fence-30")) as refused:
        await behind.swap(new, 20)
    assert refused.value.cause is Cause.FENCED
    assert (await behind.shape(), behind.proxy.now) == before


async def test_an_address_that_the_host_does_not_let_us_reach_is_refused_before_anything_is_there(
    behind: Behind, old: Image, new: Image
) -> None:
    await behind.swap(old, 10)
    before, sent = await behind.shape(), list(behind.proxy.sent)

    async def closed(upstream: str) -> Any:
        raise Refused(f"the host does not forward {upstream}")

    with pytest.raises(Refused, match="does not forward"):
        await behind.swap(new, 20, inside=closed)
    assert (await behind.shape(), behind.proxy.sent) == (before, sent)


async def test_where_there_is_a_proxy_its_address_is_never_taken_for_the_new_ones(behind: Behind, new: Image) -> None:
    """`answers` is what asks the service's own address; a swap behind a proxy does not ask it."""
    means = await behind.means(10)

    async def asked(_: float) -> bool:
        raise AssertionError

    assert await never(0) is False
    await means.swap(swap_order(behind.environment, new, 10), asked)
    assert await behind.served() == "v1.1.0"
