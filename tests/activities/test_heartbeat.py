"""Work that is waited for to its end, whenever the waiting is cancelled."""

import asyncio
import threading

import pytest

from activities.heartbeat import ended, in_thread


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
