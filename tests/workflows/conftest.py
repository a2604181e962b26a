"""A lane on the time-skipping server, with a crew that can be told what to do."""

import contextlib
import logging
import shutil
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from process.attributes import OURS
from runbook import names
from runbook.decision import Verdict
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.status import ReleaseResult, Status
from runbook.step import Step
from tests.projects import DIGEST
from tests.workflows.crew import Crew
from workflows.drift_check import DriftWorkflow
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

ORDER = ReleaseOrder(project="shop", version="1.4.0", requested_by="carol", reason="weekly")
ROLLBACK_OF_SHOP = names.rollback_lane("shop")
Handle = WorkflowHandle[Any, Any]
ANSWERED_WITHIN = timedelta(seconds=5)

_BROKEN = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: "a workflow task failed",
}


@dataclass
class LaneOfTests:
    """One lane with its crew; `env` skips time."""

    env: WorkflowEnvironment
    crew: Crew
    queue: str = field(default_factory=lambda: f"q-{uuid.uuid4()}")
    release: type[ReleaseWorkflow] = ReleaseWorkflow

    @property
    def client(self) -> Client:
        return self.env.client

    async def start(self, order: Any = ORDER, **options: Any) -> Handle:
        return await self.client.start_workflow(
            names.RELEASE_WORKFLOW, order, id=names.lane("shop"), task_queue=self.queue, **options
        )

    async def start_rollback(self, **order: Any) -> Handle:
        told = RollbackOrder(project="shop", requested_by="bob", reason="checkout fails", **order)
        return await self.client.start_workflow(
            names.ROLLBACK_WORKFLOW, told, id=names.lane("shop"), task_queue=self.queue
        )

    @property
    def child(self) -> Handle:
        """The rollback that a release started."""
        return self.client.get_workflow_handle(ROLLBACK_OF_SHOP)

    async def status(self, handle: Handle) -> Status:
        """What it says of itself. This server never answers a question that waits while the run ends."""
        for _ in range(10):
            try:
                return Status.model_validate(await handle.query(names.STATUS, rpc_timeout=ANSWERED_WITHIN))
            except RPCError as error:
                if error.status not in {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}:
                    raise
        raise AssertionError(f"no answer within {10 * ANSWERED_WITHIN}")

    async def until(self, handle: Handle, reached: Callable[[Status], bool], *, step: float = 0.1) -> Status:
        """The status once this holds of it; the clock moves by `step` seconds between looks."""
        status = None
        for _ in range(600):
            # A child that was not started yet is not found.
            with contextlib.suppress(RPCError):
                status = await self.status(handle)
                if reached(status):
                    return status
            await self.sleep(step)
        raise AssertionError(f"never reached: {status}")

    async def at_gate(self, handle: Handle) -> Status:
        return await self.until(handle, lambda status: status.gate is not None and status.gate.open)

    async def in_need(self, handle: Handle, number: int = 1, *, step: float = 0.1) -> Status:
        """The status once so many steps need a person."""
        return await self.until(handle, lambda status: len(status.needs) >= number, step=step)

    async def until_ended(self, handle: Handle, step: Step[Any, Any], times: int = 1) -> None:
        """Until the run's history has the end of so many: this server takes its cancellation badly while it only knows of it."""
        for _ in range(600):
            events = await self.events(handle)
            ours = {e.event_id for e in events if _scheduled(e) == step.name}
            ended = {e.activity_task_completed_event_attributes.scheduled_event_id for e in events}
            if len(ours & ended) >= times:
                return
            await self.sleep(0.1)
        raise AssertionError(f"{step.name} never ended")

    async def went_on(self, handle: Handle) -> bool:
        """Whether it is in another run than the first by now."""
        return (await handle.describe()).run_id != handle.result_run_id

    async def last(self, handle: Handle) -> Handle:
        """The last of the runs that it goes on in, ended. This server now and then writes no end of the one before: its result never comes."""
        going_on = {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}
        while (found := await handle.describe()).status in going_on:
            await self.sleep(timedelta(hours=1))
        return self.client.get_workflow_handle(handle.id, run_id=found.run_id)

    async def approve(self, handle: Handle, by: str = "alice", digest: str = DIGEST) -> None:
        await handle.signal(names.APPROVE, {"by": by, "digest": digest})

    async def decide(self, handle: Handle, *decision: Any) -> Verdict:
        return Verdict.model_validate(await handle.execute_update(names.DECIDE, args=list(decision)))

    async def approved(self, **options: Any) -> Handle:
        """A release that alice has let through the gate."""
        handle = await self.start(**options)
        await self.at_gate(handle)
        await self.approve(handle)
        return handle

    async def result(self, handle: Handle) -> ReleaseResult:
        return ReleaseResult.model_validate(await handle.result())

    async def now(self) -> datetime:
        return await self.env.get_current_time()

    async def sleep(self, time: float | timedelta) -> None:
        """Let so much pass: on a busy machine that can take the server longer than the 10 s that a request is waited for."""
        await self.pass_until(await self.now() + (time if isinstance(time, timedelta) else timedelta(seconds=time)))

    async def pass_until(self, moment: datetime) -> None:
        """Let the clock come to this moment, and never beyond."""
        while (left := moment - await self.now()) > timedelta(0):
            try:
                await self.env.sleep(left)
            except RPCError as error:
                if error.status is not RPCStatusCode.CANCELLED:
                    raise

    async def register_search_attributes(self) -> None:
        """Make the attributes known, and have the crew's plan say so."""
        await self.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=self.client.namespace, search_attributes=OURS)
        )
        self.crew.searchable = True

    async def events(self, handle: Handle) -> list[HistoryEvent]:
        return [event async for event in handle.fetch_history_events()]

    async def terminate(self) -> None:
        for workflow_id in (names.lane("shop"), ROLLBACK_OF_SHOP):
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(workflow_id).terminate("the test is over")

    async def assert_unbroken(self) -> None:
        """No workflow task of any run in this lane failed."""
        for workflow_id in (names.lane("shop"), ROLLBACK_OF_SHOP):
            with contextlib.suppress(RPCError):
                for event in await self.events(self.client.get_workflow_handle(workflow_id)):
                    failed = event.workflow_task_failed_event_attributes
                    # Something arrived while the run was about to close: it is heard first, by design.
                    if failed.cause != WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND:
                        assert event.event_type not in _BROKEN, f"{workflow_id}: {_BROKEN[event.event_type]}: {failed}"

    @contextlib.asynccontextmanager
    async def working(self, **options: Any) -> AsyncGenerator[Worker]:
        """Without the SDK's sandbox, which costs more than all the rest: the stories on a real server run in it."""
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[self.release, RollbackWorkflow, DriftWorkflow],
            activities=self.crew.activities(),
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
            workflow_runner=UnsandboxedWorkflowRunner(),
            **options,
        ) as worker:
            yield worker


def _scheduled(event: HistoryEvent) -> str:
    return event.activity_task_scheduled_event_attributes.activity_type.name


@contextlib.asynccontextmanager
async def lane_of_tests(server: str) -> AsyncGenerator[LaneOfTests]:
    """A lane without a worker, on a time-skipping server of its own."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter
    ) as env:
        yield LaneOfTests(env, Crew())


def server_found() -> str:
    beside = Path(sys.executable).with_name("temporal-test-server")
    found = str(beside) if beside.exists() else shutil.which("temporal-test-server")
    assert found, "temporal-test-server is missing: make setup"
    return found


@pytest.fixture(scope="session")
def time_skipping_server() -> str:
    return server_found()


@pytest.fixture
def unbroken_log(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Fails the test when a worker said that a workflow broke, which some histories don't tell (evictions)."""
    yield
    assert not [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


@pytest.fixture
async def idle_lane(time_skipping_server: str, unbroken_log: None) -> AsyncGenerator[LaneOfTests]:
    """A lane without a worker."""
    async with lane_of_tests(time_skipping_server) as lane:
        yield lane
        await lane.assert_unbroken()


@pytest.fixture
async def lane(idle_lane: LaneOfTests) -> AsyncGenerator[LaneOfTests]:
    """A lane whose worker runs; tell `lane.crew` what goes wrong."""
    async with idle_lane.working():
        yield idle_lane
        # What still runs would go on to its next steps while the worker ends, which then waits for them.
        await idle_lane.terminate()
