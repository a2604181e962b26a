"""The link cut, and the engine restarted, before and during every engine call of a swap: the next attempt makes it right."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from activities.clients.health import HttpProbe
from activities.errors import StepError, Unreachable
from activities.hosts import HostActivities
from runbook.image import Image
from runbook.service import SwappedContainer, WayBack
from tests.activities.performing import perform
from tests.hosts.host import Host
from tests.hosts.shop import SETTLE, Service, Shop
from tests.hosts.stages import StagedHosts

pytestmark = pytest.mark.hosts

# Calls that take their time on a real engine: they are hit in their middle too.
CHANGING = frozenset({"create", "rename", "set_restart", "stop", "start"})
IN_THE_MIDDLE = 0.04


@dataclass
class Attempt:
    """A swap that waits before one of its calls, until it is let go."""

    service: Service
    before: int
    back: WayBack
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def make(self, image: Image) -> SwappedContainer:
        async def happen(number: int, name: str) -> None:
            if number == self.before:
                self.waits.set()
                await self.let_go.wait()

        activities = HostActivities(StagedHosts(self.service.shop.hosts, happen), HttpProbe(), SETTLE)
        return await perform(activities.swap, self.service.swap_order(image, 2, self.back))


async def stages(shop: Shop, host: Host, old: Image, new: Image) -> list[str]:
    """The names of the calls that a swap makes."""
    found: list[str] = []

    async def happen(number: int, name: str) -> None:
        found.append(name)

    service = shop.service(host)
    await service.legacy(old)
    order = service.swap_order(new, 2, await service.way_back(2))
    await perform(HostActivities(StagedHosts(shop.hosts, happen), HttpProbe(), SETTLE).swap, order)
    return found


async def attempt(shop: Shop, host: Host, before: int, old: Image) -> Attempt:
    service = shop.service(host)
    await service.legacy(old, restart="always")
    return Attempt(service, before, await service.way_back(2))


async def strike(
    shop: Shop, host: Host, images: tuple[Image, Image], harm: Callable[[], Awaitable[None]]
) -> tuple[list[Attempt], list[SwappedContainer | BaseException]]:
    """Swaps side by side, one for each call: harmed before it, and one more for calls that change, harmed in it."""
    old, new = images
    names = await stages(shop, host, old, new)
    before = [await attempt(shop, host, number, old) for number in range(1, len(names) + 1)]
    amid = [await attempt(shop, host, n, old) for n, name in enumerate(names, start=1) if name in CHANGING]
    under_way = [asyncio.create_task(each.make(new)) for each in (*before, *amid)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(each.waits.wait() for each in (*before, *amid)))
    for each in amid:
        each.let_go.set()
    await asyncio.sleep(IN_THE_MIDDLE)
    await harm()
    for each in before:
        each.let_go.set()
    return [*before, *amid], await asyncio.gather(*under_way, return_exceptions=True)


async def mended(attempts: list[Attempt], became: list[SwappedContainer | BaseException], new: Image) -> None:
    """Whatever the harm did, it was said as a step's error; one more attempt and all is as it should be."""
    for each, what in zip(attempts, became, strict=True):
        assert isinstance(what, (SwappedContainer, StepError)), (each.before, repr(what))
        if isinstance(what, StepError):
            assert what.retryable, (each.before, str(what))
            assert each.service.host.address in str(what)
        made = await each.service.swap(new, 2, each.back)
        name = each.service.environment.container
        assert await each.service.version() == "v1.1.0"
        assert list(await each.service.running()) == [name], each.before
        seen = await each.service.seen()
        assert (seen[name].id, sorted(seen)) == (made.container_id, [name, f"{name}-old-2"]), each.before


async def test_a_link_cut_at_any_call_is_said_and_the_swap_made_when_it_is_back(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    async def cut() -> None:
        host.cut()

    try:
        attempts, became = await strike(shop, host, (old, new), cut)
    finally:
        host.mend()
    assert all(isinstance(what, Unreachable) for what in became), became
    await mended(attempts, became, new)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
async def test_an_engine_restarted_at_any_call_ends_in_the_swap(
    shop: Shop, host: Host, old: Image, new: Image, how: signal.Signals
) -> None:
    async def restart() -> None:
        await asyncio.to_thread(host.end_engine, how)
        host.start_engine()
        await asyncio.to_thread(host.await_engine)

    attempts, became = await strike(shop, host, (old, new), restart)
    await mended(attempts, became, new)


async def test_a_link_that_is_back_at_once_is_not_noticed(shop: Shop, host: Host, old: Image, new: Image) -> None:
    service = shop.service(host)
    await service.legacy(old)
    one = Attempt(service, 6, await service.way_back(2))
    swapping = asyncio.create_task(one.make(new))
    async with asyncio.timeout(20):
        await one.waits.wait()
    host.cut()
    one.let_go.set()
    await asyncio.sleep(1)
    host.mend()
    await swapping
    assert await service.version() == "v1.1.0"
