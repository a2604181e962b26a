"""Work that is waited for to its end, whenever the waiting is cancelled; and what heartbeats carry meanwhile."""

import asyncio
import threading
from typing import Any

import pytest

from activities.heartbeat import ended, hand_on, in_thread, tell
from tests.activities.performing import perform


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_is_heard_however_close_it_is_to_the_end_of_the_work(turns: int) -> None:
    work: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(ended(work))
    await asyncio.sleep(0)
    work.set_result("done")
    for _ in range(turns):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert (turns > 1, await waiting) == (True, "done")


async def test_a_cancelled_call_in_a_thread_is_waited_for() -> None:
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go_on.wait(10)
        over.set()

    waiting = asyncio.create_task(in_thread(call))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert over.is_set()


async def test_what_the_work_raises_is_raised_unless_the_waiting_was_cancelled() -> None:
    async def breaks() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await ended(breaks())
    waiting = asyncio.create_task(ended(breaks()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_work_that_is_cancelled_itself_cancels_the_waiting() -> None:
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(work.cancel)
    with pytest.raises(asyncio.CancelledError):
        await ended(work)


async def test_a_table_that_is_handed_on_stays_first_whatever_else_is_told() -> None:
    beats: list[tuple[Any, ...]] = []
    table = {"requests": 7, "gap": 13.0}

    async def attempt(_: None) -> None:
        hand_on({"requests": 1})
        tell("stopping the old one")
        await told(beats, {"requests": 1}, "stopping the old one")
        hand_on(table)
        await told(beats, table, "stopping the old one")
        tell("starting the new one", 1)
        await told(beats, table, "starting the new one", 1)

    await perform(attempt, None, beats=lambda *details: beats.append(details))
    assert all(isinstance(details[0], dict) for details in beats if details)


async def test_what_the_attempt_before_handed_on_stays_until_there_is_more() -> None:
    beats: list[tuple[Any, ...]] = []

    async def attempt(_: None) -> None:
        tell("starting the new one")
        await told(beats, {"gap": 13.0}, "starting the new one")

    await perform(attempt, None, told={"gap": 13.0}, beats=lambda *details: beats.append(details))


async def test_a_table_that_is_told_takes_the_place_of_the_one_before() -> None:
    beats: list[tuple[Any, ...]] = []

    async def attempt(_: None) -> None:
        tell({"watched": 2}, "soaking")
        await told(beats, {"watched": 2}, "soaking")

    await perform(attempt, None, told={"watched": 1}, beats=lambda *details: beats.append(details))


async def told(beats: list[tuple[Any, ...]], *details: Any) -> None:
    async with asyncio.timeout(10):
        while details not in beats:
            await asyncio.sleep(0.01)
