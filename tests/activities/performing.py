"""Performs an activity as a worker would: with heartbeats, and with what an attempt before had told."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from activities.heartbeat import beating

T = TypeVar("T")


async def perform(
    method: Callable[[Any], Awaitable[T]],
    order: Any,
    *,
    told: Any = None,
    beats: Any = None,
    stopped_after: float | None = None,
) -> T:
    """`told`: the heartbeat details of the attempt before; `beats` is called with the details of each heartbeat.

    `stopped_after`: the worker is asked to stop after so many seconds.
    """
    environment = ActivityEnvironment()
    if stopped_after is not None:
        asyncio.get_running_loop().call_later(stopped_after, environment.worker_shutdown)
    environment.info = dataclasses.replace(
        ActivityEnvironment.default_info(), heartbeat_details=[] if told is None else [told]
    )
    if beats is not None:
        environment.on_heartbeat = beats

    async def performed() -> T:
        async with beating():
            return await method(order)

    return await environment.run(performed)
