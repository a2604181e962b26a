"""Heartbeats that every activity sends by itself, so that a killed worker is noticed within seconds."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar

from temporalio import activity

from activities.errors import NotYet

P = ParamSpec("P")
T = TypeVar("T")

_EVERY = timedelta(milliseconds=800)
_AT_ONCE = timedelta(milliseconds=100)
_progress: ContextVar[list[Any] | None] = ContextVar("progress", default=None)


def tell(*details: Any) -> None:
    """Let the next heartbeats carry these details (JSON-able, small): the progress of this attempt.

    What was handed on stays before them, also for the moment after which nobody is there to hand it on again; a table
    that is told itself takes its place.
    """
    held = _progress.get()
    if held is not None:
        held[:] = details if _table(details) else [*_table(held), *details]


def hand_on(table: dict[str, Any]) -> None:
    """Let the next heartbeats carry this table first, as the next attempt reads it, beside what else is told."""
    held = _progress.get()
    if held is not None:
        held[:] = [table, *held[len(_table(held)) :]]


def _table(details: Sequence[Any]) -> list[Any]:
    """What the next attempt would read of these: their first one where that is a table."""
    return [detail for detail in details[:1] if isinstance(detail, dict)]


async def rest(seconds: float) -> None:
    """Sleep between two looks of a long watch; when this worker is to end meanwhile, hand the watch over.

    Raises:
        NotYet: another worker is to go on, from what was told.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()
            activity.heartbeat(*(_progress.get() or []))
            raise NotYet("this worker is asked to stop, another one goes on", again=_AT_ONCE)


@contextlib.asynccontextmanager
async def beating() -> AsyncGenerator[None]:
    """Beat for as long as the block runs, starting from what the attempt before had told."""
    told: list[Any] = list(activity.info().heartbeat_details)
    token = _progress.set(told)
    beats = asyncio.create_task(_beat(told))
    try:
        yield
    finally:
        _progress.reset(token)
        beats.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beats


async def _beat(told: list[Any]) -> None:
    while True:
        activity.heartbeat(*told)
        await asyncio.sleep(_EVERY.total_seconds())


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call beside the event loop; when cancelled, wait for it to end first.

    A thread can't be stopped: leaving it behind would let an old attempt change something under the next one.
    """
    return await ended(asyncio.create_task(asyncio.to_thread(partial(call, *args, **kwargs))))


async def ended(work: Awaitable[T]) -> T:
    """Await this work to its end even when cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            # Also when the work is done by now: it may have ended in the moment in which the cancellation came.
            cancelled = True
        except Exception:  # noqa: BLE001 - raised below by task.result()
            break
    if cancelled:
        with contextlib.suppress(Exception):
            task.result()
        raise asyncio.CancelledError
    return task.result()
