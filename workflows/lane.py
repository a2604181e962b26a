"""What a release and a rollback have in common: how a run opens, is attended and concludes."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from runbook import steps
from runbook.continuation import Continuation
from runbook.host_orders import HostOrders
from runbook.message import ReleaseRef
from runbook.status import REFUSED, Outcome, Row, Status
from workflows.concurrency import uncancellable
from workflows.desk import Desk
from workflows.failure import GivenUp, Stop
from workflows.journal import Journal

T = TypeVar("T")


class Lane(Desk):
    """A run in a project's lane."""

    def open(self, kind: str, known: ReleaseRef) -> None:
        """Begin the status, before any message is heard."""
        status = Status(
            kind=kind,
            project=known.project,
            version=known.version,
            requested_by=known.requested_by,
            workflow_id=known.workflow_id,
            run_id=known.release,
            started=workflow.info().start_time,
        )
        self._keep(Journal(known, status))

    def open_again(self, taken: Continuation) -> None:
        """Go on with the status that the run before this one took along."""
        journal = Journal(taken.ref, taken.status)
        journal.searchable = taken.plan.search_attributes
        journal.ledger.go_on_after(taken.entries, taken.refusals)
        self._keep(journal)

    def _keep(self, journal: Journal) -> None:
        self._signals = Counter()
        self.journal = journal
        # Until there is a plan nobody could be told of an abort: it stops the work as soon as that begins.
        self.journal.stopping = self.is_cancelled

    def outline(self, rows: list[Row]) -> None:
        """Show what is to come, keeping what is known already."""
        known = {row.key: row for row in self.journal.status.rows}
        self.journal.status.rows = [known.get(row.key, row) for row in rows]
        self.journal.changed()

    async def admitted(self, admission: Coroutine[Any, Any, T]) -> T:
        """What the door gives; a run that it turned away shows why."""
        try:
            return await admission
        except ApplicationError as refusal:
            self.journal.close(Outcome.ABORTED, f"{REFUSED}: {refusal.message}")
            raise
        except asyncio.CancelledError:
            self.journal.close(Outcome.ABORTED, self._why_stopped())
            raise

    async def conclude(self, orders: HostOrders, work: Coroutine[Any, Any, tuple[Outcome, str]]) -> tuple[Outcome, str]:
        """Do the work to its end, whichever it is, and see it kept and told."""
        fate: BaseException | None = None
        try:
            outcome, summary = await self.attend(work)
        except GivenUp as given_up:
            outcome, summary = given_up.outcome, given_up.why
            fate = ApplicationError(summary, type="RollbackGivenUp", non_retryable=True)
        except Stop as stop:
            outcome, summary = stop.outcome, stop.why
        except asyncio.CancelledError as cancellation:
            outcome, summary = Outcome.ABORTED, self._why_stopped()
            fate = None if self.stop else cancellation
        await uncancellable(self._close(orders, outcome, summary))
        if fate is not None:
            raise fate
        return outcome, summary

    async def _close(self, orders: HostOrders, outcome: Outcome, summary: str) -> None:
        self.journal.stopping = lambda: False
        status, ledger = self.journal.status, self.journal.ledger
        self.journal.close(outcome, summary)
        title = f"{status.project} {status.version}: {outcome.replace('_', ' ')}"
        self.journal.soon(self.journal.try_to(steps.NOTIFY, orders.notice("on_call", "outcome", title, summary)))
        if ledger.dropped_refusals:
            summary += f" ({ledger.dropped_refusals} more messages were refused)"
        await ledger.keep("worker", "outcome", outcome, summary, digest=status.digest, evidence=self.approvers)
        await self.journal.settle()
        await workflow.wait_condition(lambda: ledger.is_written and workflow.all_handlers_finished())

    def _why_stopped(self) -> str:
        if self.stop is not None:
            return f"aborted by {self.stop.by}: {self.stop.reason or 'without a reason'}"
        return f"cancelled through Temporal: {workflow.cancellation_reason() or 'without a reason'}"

    @property
    def approvers(self) -> list[str]:
        """Who authorized it at the gate, so far."""
        gate = self.journal.status.gate
        return [approval.by for approval in gate.approvals] if gate else []
