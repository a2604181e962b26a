"""What a release and a rollback have in common: how a run opens, is attended and concludes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from runbook import steps
    from runbook.host_orders import HostOrders
    from runbook.message import ReleaseRef
    from runbook.status import Outcome, Row, Status
    from workflows.concurrency import uncancellable
    from workflows.desk import Desk
    from workflows.failure import StepFailed, Stop
    from workflows.journal import Journal

ModelT = TypeVar("ModelT", bound=BaseModel)

_REFUSED = "OrderRefused"
_NAMELESS = {"project": "unknown", "version": "0.0.0", "requested_by": "unknown"}


class Lane(Desk):
    """A run in a project's lane."""

    def open(self, kind: str, known: ReleaseRef) -> None:
        """Begin the status, before any message is heard."""
        self.journal = Journal(
            known,
            Status(
                kind=kind,
                project=known.project,
                version=known.version,
                requested_by=known.requested_by,
                workflow_id=known.workflow_id,
                run_id=known.release,
                started=workflow.info().start_time,
            ),
        )

    def outline(self, rows: list[Row]) -> None:
        """Show what is to come, keeping what is known already."""
        known = {row.key: row for row in self.journal.status.rows}
        self.journal.status.rows = [known.get(row.key, row) for row in rows]
        self.journal.changed()

    async def conclude(self, orders: HostOrders, work: Coroutine[Any, Any, tuple[Outcome, str]]) -> tuple[Outcome, str]:
        """Do the work to its end, whichever it is, and see it kept and told."""
        cancelled: asyncio.CancelledError | None = None
        try:
            outcome, summary = await self.attend(work)
        except Stop as stop:
            outcome, summary = stop.outcome, stop.why
        except asyncio.CancelledError as cancellation:
            outcome, summary = Outcome.ABORTED, self._why_stopped()
            cancelled = None if self.stop else cancellation
        await uncancellable(self._close(orders, outcome, summary))
        if cancelled is not None:
            raise cancelled
        return outcome, summary

    async def _close(self, orders: HostOrders, outcome: Outcome, summary: str) -> None:
        self.journal.stopping = lambda: False
        status = self.journal.status
        await self.journal.keep("worker", "outcome", outcome, summary, digest=status.digest, evidence=self._approvers())
        title = f"{status.project} {status.version}: {outcome.replace('_', ' ')}"
        self.journal.soon(self.journal.try_to(steps.NOTIFY, orders.notice("on_call", "outcome", title, summary)))
        self.journal.close(outcome, summary)
        await self.journal.settle()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _why_stopped(self) -> str:
        if self.stop is not None:
            return f"aborted by {self.stop.by}: {self.stop.reason or 'without a reason'}"
        return f"cancelled through Temporal: {workflow.cancellation_reason() or 'without a reason'}"

    def _approvers(self) -> list[str]:
        gate = self.journal.status.gate
        return [approval.by for approval in gate.approvals] if gate else []


def reference(payload: Any) -> ReleaseRef:
    """Who is asked to do what, as far as the payload of a start tells: a run has a status even if it is refused."""
    info = workflow.info()
    told: dict[str, Any] = {**_NAMELESS, **cast("dict[str, Any]", payload)} if isinstance(payload, dict) else _NAMELESS
    if info.parent is not None:
        told |= cast("dict[str, Any]", told.get("failed") or {})
    rest = {"workflow_id": info.workflow_id, "release": info.run_id, "epoch": int(info.start_time.timestamp() * 1000)}
    for fields in (told, _NAMELESS):
        try:
            return ReleaseRef.model_validate({**fields, **rest})
        except ValidationError:
            continue
    raise AssertionError("the nameless reference is valid")


def read_order(model: type[ModelT], payload: Any) -> ModelT:
    """The order of a run, from whatever payload it was started with; refused in one line where it is none."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'order'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise refused(faults) from None


def refused(why: str | StepFailed) -> ApplicationError:
    """The run ends at the door: nothing was started."""
    return ApplicationError(str(why) if isinstance(why, str) else why.what, type=_REFUSED, non_retryable=True)


def same_lane(workflow_id: str, lane: str) -> None:
    """Refuse a run outside its project's lane, where two changes of one production could overlap."""
    if workflow_id != lane:
        raise refused(f"workflow ID {workflow_id!r} is not the project's lane: start it with workflow ID {lane!r}")
