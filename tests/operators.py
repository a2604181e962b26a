"""An operator at a terminal of text, before a real Temporal server with a crew's worker."""

import asyncio
import contextlib
import io
import itertools
import json
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.console import Console
from temporalio.client import Client
from temporalio.worker import Worker

from console.lane import Lane
from console.output import Output
from console.refusal import Refusal
from console.session import Patience, Session, Work
from process.attributes import ensure_search_attributes
from process.connection import Target
from process.runner import Runner
from runbook.status import Status
from tests.projects import DIGEST, project
from tests.servers import TemporalServer
from tests.workflows.crew import Crew
from workflows.drift_check import DriftWorkflow
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

_NUMBERS = itertools.count(1)
_PATIENCE = Patience(answer=timedelta(seconds=1), plan=timedelta(seconds=4))


@dataclass(frozen=True)
class Said:
    """What a command answered: its status, and what it wrote to each stream."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The last JSON document on standard output."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Operator:
    """One project with its own task queue; `crew` can be told what goes wrong."""

    client: Client
    target: Target
    project: str = field(default_factory=lambda: f"shop-{next(_NUMBERS)}")
    queue: str = field(default_factory=lambda: f"q-{uuid.uuid4()}")
    crew: Crew = field(default_factory=lambda: Crew(project(production={"soak": {"lasts": "0s"}})))
    screen: io.StringIO = field(default_factory=io.StringIO)
    release: type[ReleaseWorkflow] = ReleaseWorkflow
    patience: Patience = _PATIENCE

    async def does(self, prepare: Callable[[], Work], *, json: bool = False) -> Said:
        """As `session.perform` does it, in this event loop."""
        out, err = io.StringIO(), io.StringIO()
        self.screen = out
        output = Output(json=json, out=_terminal(out), err=_terminal(err))
        try:
            status = int(await prepare()(self._session(output)))
        except Refusal as refusal:
            status = int(refusal.status)
            output.remark(str(refusal))
        return Said(status, out.getvalue(), err.getvalue())

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[self.release, RollbackWorkflow, DriftWorkflow],
            activities=self.crew.activities(),
            workflow_runner=Runner(),
            graceful_shutdown_timeout=timedelta(seconds=1),
        ):
            yield

    async def until(self, reached: Callable[[Status], bool]) -> Status:
        """The status once this holds of the newest run."""
        lane = Lane(self._session(Output()), self.project)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Refusal):
                    status = await lane.status((await lane.found()).run_id)
                    if status is not None and reached(status):
                        return status
                await asyncio.sleep(0.05)

    async def reads(self, text: str) -> None:
        """Until the command that runs now has written this."""
        async with asyncio.timeout(60):
            while text not in self.screen.getvalue():
                await asyncio.sleep(0.05)

    async def until_the_gate(self) -> Status:
        return await self.until(lambda status: status.gate is not None and status.gate.open)

    async def approve(self) -> None:
        """Past the console, for tests about something else."""
        handle = self.client.get_workflow_handle(f"release-{self.project}")
        await handle.signal("approve", {"by": "alice", "digest": DIGEST})

    def _session(self, output: Output) -> Session:
        return Session(self.client, self.target, self.queue, output, self.patience)


def _terminal(stream: io.StringIO) -> Console:
    return Console(file=stream, width=200, markup=False, highlight=False, emoji=False)


async def new_operator(temporal: TemporalServer) -> Operator:
    """No worker runs yet: see `working`."""
    client = await temporal.connect()
    assert await ensure_search_attributes(client)
    return Operator(client, Target.read(temporal.environment))
