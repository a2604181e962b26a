"""A lane on a real Temporal server, with a crew: for what the time-skipping server can't show."""

import asyncio
import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.worker import Worker

from process.runner import Runner
from runbook import names
from runbook.status import Status
from tests.growth import Growth
from tests.projects import project
from tests.servers import TemporalServer
from tests.workflows.conftest import ORDER, Handle
from tests.workflows.crew import Crew
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

_NUMBERS = itertools.count(1)


class RealLane:
    """A lane of its own on the session's server."""

    def __init__(self, temporal: TemporalServer) -> None:
        self._temporal = temporal
        self.project = f"real-{next(_NUMBERS)}-{uuid.uuid4().hex[:6]}"
        self.queue = f"q-{self.project}"
        self.crew = Crew(project(production={"soak": {"lasts": "0s"}}))
        self._runs: list[Handle] = []

    release: type[ReleaseWorkflow] = ReleaseWorkflow

    async def start(self) -> Handle:
        client = await self._temporal.connect()
        order = ORDER.model_copy(update={"project": self.project})
        lane = names.lane(self.project)
        handle = await client.start_workflow(names.RELEASE_WORKFLOW, order, id=lane, task_queue=self.queue)
        self._runs.append(handle)
        return handle

    async def worker(self, **options: Any) -> Worker:
        return Worker(
            await self._temporal.connect(),
            task_queue=self.queue,
            workflows=[self.release, RollbackWorkflow],
            activities=self.crew.activities(),
            workflow_runner=Runner(),
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            **options,
        )

    async def until(self, handle: Handle, reached: Callable[[Status], bool]) -> None:
        growth = Growth(handle)
        async with asyncio.timeout(60):
            while not await growth.seen() or not reached(Status.model_validate(await handle.query(names.STATUS))):
                await asyncio.sleep(0.02)

    async def assert_unbroken(self) -> None:
        unhandled = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
        for handle in self._runs:
            async for event in handle.fetch_history_events():
                failed = event.workflow_task_failed_event_attributes
                broken = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                assert not broken or failed.cause == unhandled, failed
