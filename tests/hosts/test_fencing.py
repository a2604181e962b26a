"""A process that comes back to life late, at any place, changes nothing of what serves by then."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from runbook.image import Image
from runbook.message import Order
from runbook.service import WayBack
from tests.hosts.host import Host
from tests.hosts.late import Late
from tests.hosts.shop import SETTLE, Service, Shop

# Many swaps each, for there is one for every call.
pytestmark = [pytest.mark.hosts, pytest.mark.timeout(300)]


@pytest.fixture
async def newer(shop: Shop) -> Image:
    return await shop.publish("1.2.0")


@dataclass(frozen=True)
class Serving:
    """What runs, and since when: a container that was stopped and started again is not the same."""

    containers: dict[str, tuple[str, str]]
    since: str
    version: str


async def serving(service: Service) -> Serving:
    container = await service.serving()
    details = await (await service.engine()).inspect(container.id)
    return Serving(await service.running(), details.started_at, await service.version())


@dataclass(frozen=True)
class Round:
    """One late process: `told` is what became of it, `stopped` is false when it needed fewer calls."""

    before: int
    stopped: bool
    told: str
    was: Serving
    is_now: Serving


async def late_round(service: Service, order: Order, before: int, meanwhile: Callable[[], Awaitable[None]]) -> Round:
    late = Late(order, before, SETTLE)
    try:
        stopped = await late.stopped()
        await meanwhile()
        was = await serving(service)
        if stopped:
            late.resume()
        told = await late.ended()
        return Round(before, stopped, told, was, await serving(service))
    finally:
        late.kill()


async def in_turn(hosts: Sequence[Host], play: Callable[[Host, int], Awaitable[Round]]) -> list[Round]:
    """A round for each call until there are no more, on each host one after another, on all hosts at once."""

    async def share(index: int) -> list[Round]:
        rounds: list[Round] = []
        for before in itertools.count(index + 1, len(hosts)):
            rounds.append(await play(hosts[index], before))
            if not rounds[-1].stopped:
                break
        return rounds

    shares = await asyncio.gather(*map(share, range(len(hosts))))
    return sorted((one for each in shares for one in each), key=lambda one: one.before)


def judge(rounds: Sequence[Round], *, serves: str) -> None:
    stopped = [one.before for one in rounds if one.stopped]
    assert stopped == list(range(1, len(stopped) + 1))
    whole = [one.told for one in rounds if not one.stopped]
    assert all(told.startswith("done") for told in whole), whole
    assert [one.told for one in rounds if one.told.startswith("broken")] == []
    harmed = [
        f"before call {one.before}: {one.was} became {one.is_now} ({one.told})"
        for one in rounds
        if one.was != one.is_now
    ]
    assert harmed == []
    assert {one.is_now.version for one in rounds} == {serves}


async def test_a_swap_that_goes_on_after_a_later_release_changes_nothing(
    shop: Shop, old: Image, new: Image, newer: Image
) -> None:
    async def play(host: Host, before: int) -> Round:
        service, back = await begun(shop, host, old)

        async def meanwhile() -> None:
            await service.swap(new, 2, back)
            await service.swap(newer, 3, await service.way_back(3))

        return await late_round(service, service.swap_order(new, 2, back), before, meanwhile)

    judge(await in_turn(shop.fleet.hosts[:3], play), serves="v1.2.0")


async def test_a_swap_that_goes_on_after_it_was_put_back_changes_nothing(shop: Shop, old: Image, new: Image) -> None:
    async def play(host: Host, before: int) -> Round:
        service, back = await begun(shop, host, old)

        async def meanwhile() -> None:
            await service.put_back(back, 3, failed=2)

        return await late_round(service, service.swap_order(new, 2, back), before, meanwhile)

    judge(await in_turn(shop.fleet.hosts[:3], play), serves="v1.0.0")


async def test_a_putting_back_that_goes_on_after_a_later_release_changes_nothing(
    shop: Shop, old: Image, new: Image, newer: Image
) -> None:
    async def play(host: Host, before: int) -> Round:
        service, back = await begun(shop, host, old)
        await service.swap(new, 2, back)

        async def meanwhile() -> None:
            await service.put_back(back, 3, failed=2)
            await service.swap(newer, 4, await service.way_back(4))

        return await late_round(service, service.put_back_order(back, 3, failed=2), before, meanwhile)

    judge(await in_turn(shop.fleet.hosts[:3], play), serves="v1.2.0")


async def begun(shop: Shop, host: Host, old: Image) -> tuple[Service, WayBack]:
    """A service as it ran before the first release."""
    service = shop.unwatched(host)
    await service.legacy(old)
    return service, await service.way_back(2)
