"""Doing several things side by side, one thing to its end whatever is cancelled meanwhile, and tidying up after one."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first exception cancels the others, waits for their end and is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except (Exception, asyncio.CancelledError):
        for task in tasks:
            task.cancel()
        for task in tasks:
            await _ended(task)
        raise


async def uncancellable(work: Coroutine[Any, Any, T]) -> T:
    """The result of this work, which goes on through every cancellation that arrives during it.

    A shield alone protects the work but leaves the waiter cancelled, and the workflow would close around it.
    """
    task = asyncio.create_task(work)
    await _ended(task)
    return task.result()


class Afterwards:
    """`finally`, but not where a worker drops a run from its memory.

    Then Python closes the coroutines one by one, on any thread and perhaps within another run's task: whatever they
    asked of Temporal there, they would ask for that other run.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, (Exception, asyncio.CancelledError)):
            self._act()


async def _ended(task: "asyncio.Task[Any]") -> None:
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.wait([task])
