"""Runs a worker from its first poll to its clean end."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker

from process.polls import ACTIVITIES, WORKFLOWS, polls
from process.versioning import say_standing

log = structlog.stdlib.get_logger()

_LOOK_EVERY = 0.05
_PATIENCE = timedelta(seconds=5)


async def run(worker: Worker, stop: asyncio.Event, version: WorkerDeploymentVersion | None = None) -> None:
    """Poll until `stop`, then let what is under way end within the worker's grace. Raises what is fatal to the worker."""
    running = asyncio.create_task(worker.run())
    ready = asyncio.create_task(_say_when_ready(worker, version))
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    asked.cancel()
    if not running.done():
        await worker.shutdown()
    await running


async def _say_when_ready(worker: Worker, version: WorkerDeploymentVersion | None) -> None:
    """Ready is when the server has this worker's polls, for workflows and for activities."""
    client = worker.client
    for kind in (WORKFLOWS, ACTIVITIES):
        while not await _polls(client, worker.task_queue, kind):  # noqa: ASYNC110 - the server sends no event
            await asyncio.sleep(_LOOK_EVERY)
    log.info("worker ready", task_queue=worker.task_queue, identity=client.identity)
    if version is not None:
        await say_standing(client, version)


async def _polls(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> bool:
    try:
        return client.identity in await polls(client, task_queue, kind, within=_PATIENCE)
    except RPCError as error:
        log.debug("can't see the task queue's pollers yet", why=error.message)
        return False
