"""The link cut, and the engine restarted, before and during every engine call of a swap: the next attempt makes it right."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from activities.errors import StepError, Unreachable
from activities.hosts import HostActivities
from runbook.image import Image
from runbook.service import SwappedContainer, WayBack
from tests.activities.performing import perform
from tests.epochs import in_full
from tests.hosts.host import Host
from tests.hosts.shop import SETTLE, Content, Service, Shop
from tests.hosts.stages import StagedHosts

# Many swaps each, for there is one for every call.
pytestmark = [pytest.mark.hosts, pytest.mark.timeout(300)]

# Calls that take their time on a real engine: they are hit in their middle too.
CHANGING = frozenset({"create", "rename", "set_restart", "stop", "start"})
IN_THE_MIDDLE = 0.04
ATTEMPTS = 3


@dataclass
class Attempt:
    """A swap that waits before one of its calls, until it is let go."""

    service: Service
    before: int
    back: WayBack
    amid: bool = False
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def make(self, image: Image) -> SwappedContainer:
        async def happen(number: int, name: str) -> None:
            if number == self.before:
                self.waits.set()
                await self.let_go.wait()

        activities = HostActivities(StagedHosts(self.service.shop.hosts, happen), Content(), SETTLE)
        return await perform(activities.swap, self.service.swap_order(image, 2, self.back))


async def stages(shop: Shop, host: Host, old: Image, new: Image) -> list[str]:
    """The names of the calls that a swap makes."""
    found: list[str] = []

    async def happen(number: int, name: str) -> None:
        found.append(name)

    service = shop.unwatched(host)
    await service.legacy(old)
    await (await service.engine()).pull(new.repository, new.digest, None)
    order = service.swap_order(new, 2, await service.way_back(2))
    await perform(HostActivities(StagedHosts(shop.hosts, happen), Content(), SETTLE).swap, order)
    return found


async def attempt(shop: Shop, host: Host, before: int, old: Image, *, amid: bool = False) -> Attempt:
    """Of a service that comes back by itself with its engine, if nobody sees to it that it does not."""
    service = shop.unwatched(host)
    await service.legacy(old, restart="always")
    return Attempt(service, before, await service.way_back(2), amid)


async def strike(
    attempts: Sequence[Attempt], new: Image, harm: Callable[[], Awaitable[None]]
) -> list[SwappedContainer | BaseException]:
    """All at once: those that are to be hit amid their call are let go a moment before the harm, the others after it."""
    under_way = [asyncio.create_task(each.make(new)) for each in attempts]
    await reached(attempts, under_way)
    for each in attempts:
        if each.amid:
            each.let_go.set()
    await asyncio.sleep(IN_THE_MIDDLE)
    await harm()
    for each in attempts:
        each.let_go.set()
    return await asyncio.gather(*under_way, return_exceptions=True)


async def reached(attempts: Sequence[Attempt], under_way: Sequence[asyncio.Task[SwappedContainer]]) -> None:
    """All of them wait; one that ended before it came so far says why."""
    async with asyncio.timeout(60):
        while not all(each.waits.is_set() for each in attempts):
            for each in under_way:
                if each.done():
                    each.result()
            await asyncio.sleep(0.02)


async def judged(attempts: Sequence[Attempt], became: Sequence[SwappedContainer | BaseException]) -> None:
    """Whatever the harm did, it was said as a step's error."""
    for each, what in zip(attempts, became, strict=True):
        assert isinstance(what, (SwappedContainer, StepError)), (each.before, repr(what))
        if isinstance(what, StepError):
            await said_well(each.service, what)


async def said_well(service: Service, error: StepError) -> None:
    """It names the host, and a swap that is refused has left the old one serving.

    That happens where the engine's own end took the new container along just after its start.
    """
    assert service.host.address in str(error)
    assert error.retryable or await service.version() == "v1.0.0", str(error)


async def mended(attempts: Sequence[Attempt], new: Image) -> None:
    """After few more attempts all is as it should be."""
    for each in attempts:
        made = await at_last(each, new)
        name = each.service.environment.container
        assert await each.service.version() == "v1.1.0"
        assert list(await each.service.running()) == [name], each.before
        seen = await each.service.seen()
        assert (seen[name].id, sorted(seen)) == (made.container_id, [name, in_full(f"{name}-old-2")]), each.before


async def at_last(each: Attempt, new: Image) -> SwappedContainer:
    """By the next attempts, some of which a person asks for who has read what the one before said."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await each.make(new)
        except StepError as error:
            await said_well(each.service, error)
            if "restart Docker" in " ".join([str(error), *error.evidence]):
                await asyncio.to_thread(each.service.host.restart_engine)
    return await each.make(new)


async def test_a_link_cut_at_any_call_is_said_and_the_swap_made_when_it_is_back(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    async def cut() -> None:
        host.cut()

    names = await stages(shop, host, old, new)
    attempts = [await attempt(shop, host, number, old) for number in range(1, len(names) + 1)]
    attempts += [await attempt(shop, host, number, old, amid=True) for number in changing(names)]
    try:
        became = await strike(attempts, new, cut)
    finally:
        host.mend()
    cut_off = [isinstance(what, Unreachable) for what in became]
    assert all(cut_off[: len(names)]), became
    await judged(attempts, became)
    await mended(attempts, new)


async def test_an_engine_ended_before_any_call_and_started_again_ends_in_the_swap(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    names = await stages(shop, host, old, new)
    attempts = [await attempt(shop, host, number, old) for number in range(1, len(names) + 1)]
    became = await strike(attempts, new, restarting(host, signal.SIGTERM))
    await judged(attempts, became)
    await mended(attempts, new)


async def test_an_engine_killed_amid_any_call_that_changes_ends_in_the_swap(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    names = await stages(shop, host, old, new)
    attempts = [await attempt(shop, host, number, old, amid=True) for number in changing(names)]
    became = await strike(attempts, new, restarting(host, signal.SIGKILL))
    await judged(attempts, became)
    await mended(attempts, new)


def changing(names: Sequence[str]) -> list[int]:
    return [number for number, name in enumerate(names, start=1) if name in CHANGING]


def restarting(host: Host, how: signal.Signals) -> Callable[[], Awaitable[None]]:
    async def restart() -> None:
        await asyncio.to_thread(host.end_engine, how)
        host.start_engine()
        await asyncio.to_thread(host.await_engine)

    return restart


async def test_a_link_that_is_back_at_once_is_not_noticed(shop: Shop, host: Host, old: Image, new: Image) -> None:
    service = shop.unwatched(host)
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
