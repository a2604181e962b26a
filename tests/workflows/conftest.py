"""A lane on the time-skipping server, with a crew that can be told what to do."""

import contextlib
import shutil
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from runbook import names
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.status import Status
from tests.projects import DIGEST
from tests.workflows.crew import Crew
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

ORDER = ReleaseOrder(project="shop", version="1.4.0", requested_by="carol", reason="weekly")


@dataclass
class LaneOfTests:
    """One lane with its crew; `env` skips time."""

    env: WorkflowEnvironment
    crew: Crew
    queue: str = field(default_factory=lambda: f"q-{uuid.uuid4()}")

    @property
    def client(self) -> Client:
        return self.env.client

    async def start(self, order: Any = ORDER, **options: Any) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            names.RELEASE_WORKFLOW, order, id=names.lane("shop"), task_queue=self.queue, **options
        )

    async def start_rollback(self, **order: Any) -> WorkflowHandle[Any, Any]:
        told = RollbackOrder(project="shop", requested_by="bob", reason="checkout fails", **order)
        return await self.client.start_workflow(
            names.ROLLBACK_WORKFLOW, told, id=names.lane("shop"), task_queue=self.queue
        )

    async def status(self, handle: WorkflowHandle[Any, Any]) -> Status:
        return Status.model_validate(await handle.query(names.STATUS))

    async def until(self, handle: WorkflowHandle[Any, Any], reached: Callable[[Status], bool]) -> Status:
        """The status once this holds of it."""
        for _ in range(600):
            status = await self.status(handle)
            if reached(status):
                return status
            await self.env.sleep(0.05)
        raise AssertionError(f"never reached; it is at {status.stage}, needs {status.needs}, said {status.messages}")

    async def at_gate(self, handle: WorkflowHandle[Any, Any]) -> Status:
        return await self.until(handle, lambda status: status.gate is not None and status.gate.open)

    async def approve(self, handle: WorkflowHandle[Any, Any], by: str = "alice", digest: str = DIGEST) -> None:
        await handle.signal(names.APPROVE, {"by": by, "digest": digest})

    @contextlib.asynccontextmanager
    async def working(self, **options: Any) -> AsyncGenerator[Worker]:
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[ReleaseWorkflow, RollbackWorkflow],
            activities=self.crew.activities(),
            **options,
        ) as worker:
            yield worker


@pytest.fixture(scope="session")
def time_skipping_server() -> str:
    beside = Path(sys.executable).with_name("temporal-test-server")
    found = str(beside) if beside.exists() else shutil.which("temporal-test-server")
    assert found, "temporal-test-server is missing: make setup"
    return found


@pytest.fixture
async def lane(time_skipping_server: str) -> AsyncGenerator[LaneOfTests]:
    """A lane whose worker runs; tell `lane.crew` what goes wrong."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=time_skipping_server, data_converter=pydantic_data_converter
    ) as env:
        lane = LaneOfTests(env, Crew())
        async with lane.working():
            yield lane
