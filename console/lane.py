"""A project's lane as the starter sees it: who is in it, how that one stands, and what happens when nobody answers."""

import time
from datetime import timedelta
from typing import Any

from temporalio.client import (
    WorkflowContinuedAsNewError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from console.moments import ago, clock
from console.output import plain
from console.refusal import Refusal
from console.session import Session, is_passing
from process.polls import WORKFLOWS, polls
from runbook import names, steps
from runbook.status import State, Status

_RPC = timedelta(seconds=10)
_POLL_LASTS = 70


class Lane:
    """One project's lane. Look at it with `found` first: everything else is about the run that was found."""

    def __init__(self, session: Session, project: str, workflow_id: str = "") -> None:
        self.session = session
        self.project = project
        self.workflow_id = workflow_id or names.lane(project)

    def handle(self, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
        return self.session.client.get_workflow_handle(self.workflow_id, run_id=run_id)

    async def found(self, run_id: str | None = None) -> WorkflowExecutionDescription:
        """The newest run, or this one, or the one that it went on in. Raises Refusal when there is none, RPCError."""
        found = await self._described(run_id)
        while found.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
            found = await self._described(await self._successor(found.run_id))
        return found

    async def _described(self, run_id: str | None) -> WorkflowExecutionDescription:
        try:
            return await self.handle(run_id).describe(rpc_timeout=_RPC)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "amespace" not in error.message:
                raise Refusal(
                    f"Temporal knows no release or rollback of {self.project}: start one with `start {self.project} VERSION`"
                ) from None
            raise

    async def _successor(self, run_id: str) -> str:
        try:
            await self.handle(run_id).result(follow_runs=False)
        except WorkflowContinuedAsNewError as continued:
            return continued.new_execution_run_id
        raise AssertionError(f"{run_id} went on in no other run")

    async def running(self) -> WorkflowExecutionDescription:
        """The run that goes on. Raises Refusal when the last one has ended."""
        found = await self.found()
        if found.status is not WorkflowExecutionStatus.RUNNING:
            raise Refusal(f"{self.project}: nothing is going on, the last run ended {ago(found.close_time)}")
        return found

    async def is_releasing(self) -> bool:
        """Whether a release holds the lane."""
        try:
            found = await self.found()
        except Refusal:
            return False
        return found.status is WorkflowExecutionStatus.RUNNING and found.workflow_type == names.RELEASE_WORKFLOW

    async def status(self, run_id: str, within: timedelta | None = None) -> Status | None:
        """The run's own account; None when no worker gives it in time."""
        try:
            answer: Any = await self.handle(run_id).query(
                names.STATUS, rpc_timeout=within or self.session.patience.answer
            )
        except WorkflowQueryFailedError:
            return None
        except RPCError as error:
            if is_passing(error) or error.status is RPCStatusCode.FAILED_PRECONDITION:
                return None
            raise
        return Status.model_validate(plain(answer))

    async def rollback(self) -> Status | None:
        """What the rollback that a release started says of itself: a run of its own, which people may be needed for."""
        try:
            answer: Any = await self.session.client.get_workflow_handle(names.rollback_lane(self.project)).query(
                names.STATUS, rpc_timeout=self.session.patience.answer
            )
        except (WorkflowQueryFailedError, RPCError):
            return None
        return Status.model_validate(plain(answer))

    async def has_worker(self) -> bool:
        """Whether a worker polled the task queue within the length of a poll."""
        heard = await polls(self.session.client, self.session.task_queue, WORKFLOWS, within=_RPC)
        newest = max(heard.values(), default=0)
        return time.time() - newest < _POLL_LASTS

    async def holder(self) -> tuple[str, str]:
        """Who is in the lane, since when, at which step: one line; and the command that ends it."""
        found = await self.found()
        status = await self.status(found.run_id)
        since = f"since {clock(found.start_time)} ({ago(found.start_time)})"
        if status is None:
            summary = plain(await found.static_summary()) or found.workflow_type
            return f"{self.workflow_id} is held {since} by {summary}, but no worker answers for it", names.ABORT
        what = f"{status.kind}{status.subject.removeprefix(status.project)}, asked for by {status.requested_by}"
        return f"{self.workflow_id} is held {since} by {what}, {doing(status)}", way_out(status)

    async def why_silent(self, run: WorkflowExecutionDescription) -> str:
        """Why this run does not tell how it stands, as far as Temporal tells."""
        if run.task_queue != self.session.task_queue:
            return (
                f"this run is for workers of the task queue {run.task_queue}, not {self.session.task_queue}: "
                "say RUNBOOK_TASK_QUEUE as they do, or terminate it"
            )
        if await self.has_worker():
            return "the worker does not answer for it: see its log, and ask again"
        return self.no_worker()

    def no_worker(self) -> str:
        return (
            f"no worker polls the task queue {self.session.task_queue} at {self.session.target}: start worker.py, "
            "it goes on from where it is"
        )


def way_out(status: Status) -> str:
    """`roll-back` is refused until production is touched, and by a rollback; `abort` never is."""
    touched = any(row.name == steps.SWAP.name and row.state is not State.WAITING for row in status.rows)
    return "roll-back" if touched and status.kind == "release" else names.ABORT


def doing(status: Status) -> str:
    """What a run is at, in some words."""
    if status.outcome is not None:
        return f"ended: {status.state}"
    if status.needs:
        return f"waiting for a person at {', '.join(need.step for need in status.needs)}"
    if status.gate is not None and status.gate.open:
        return f"waiting at the gate since {clock(status.gate.opened)}"
    active = [row.title + (f" on {row.host}" if row.host else "") for row in status.rows if row.state is State.RUNNING]
    return f"at {'; '.join(active[:3])}" if active else f"at {status.stage}"
