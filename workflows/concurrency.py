"""Doing several things side by side, and doing one thing to its end whatever is cancelled meanwhile."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first exception cancels the others, waits for their end and is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
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


async def _ended(task: "asyncio.Task[Any]") -> None:
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.wait([task])
