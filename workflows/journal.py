"""Performs steps, and keeps what became of each: for the board, the ledger and the people who watch."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, RetryState, is_cancelled_exception

from runbook.message import Finding, Order, ReleaseRef
from runbook.outline import row_of
from runbook.status import Row, State, Status
from runbook.step import Step
from workflows.display import Display
from workflows.failure import StepFailed, failure_of
from workflows.ledger import Ledger
from workflows.performing import perform

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)

_ASIDE_ENDS_WITHIN = timedelta(minutes=3)


class Journal(Display):
    """One run's: `stopping` tells whether it is to end, so that a step that ended well all the same is the last."""

    def __init__(self, ref: ReleaseRef, status: Status) -> None:
        super().__init__(status)
        self.ref = ref
        self.ledger = Ledger(ref, self.note)
        self.stopping: Callable[[], bool] = lambda: False
        self._aside: list[asyncio.Task[Any]] = []

    def is_about(self, version: str) -> None:
        """What a rollback by hand learns from its plan."""
        self.ref = self.ledger.ref = self.ref.model_copy(update={"version": version})
        self.status.version = version

    def expect(self, step: Step[Any, Any], host: str = "") -> Row:
        """The row of this step, made when it isn't there yet."""
        row = row_of(step, host)
        for known in self.status.rows:
            if known.key == row.key:
                return known
        if step.on_board:
            self.status.rows.append(row)
        return row

    async def attempt(
        self,
        step: Step[OrderT, FindingT],
        order: OrderT,
        *,
        budget: timedelta | None = None,
        every: timedelta | None = None,
    ) -> FindingT:
        """Perform the step by its policy. Raises StepFailed, or CancelledError when the release is being stopped."""
        try:
            finding = await self._performed(step, order, budget, every)
        except StepFailed as failure:
            # Asked to stop while the last attempt failed: nobody is called for a step that is not wanted any more.
            if self.stopping() and workflow.patched("a-stop-outlives-a-failure"):
                raise asyncio.CancelledError from failure
            raise
        if self.stopping():
            # The change under way ended well although its cancellation was asked for: the request still stands.
            raise asyncio.CancelledError
        return finding

    async def try_to(
        self, step: Step[OrderT, FindingT], order: OrderT, *, budget: timedelta | None = None
    ) -> FindingT | None:
        """Perform a step that must not hold anything up; its failure is only noted."""
        try:
            return await self._performed(step, order, budget, None)
        except StepFailed as failure:
            self.note(f"{failure}")
            return None

    def failed(self, failure: StepFailed) -> None:
        """Show why the step failed."""
        row = self.expect(failure.step, failure.host)
        row.trouble, row.hint, row.evidence = failure.what, failure.hint, failure.evidence
        self._end(row, State.FAILED)

    def soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let this go on beside the release, which does not wait for it."""
        task = asyncio.create_task(work)
        self._aside.append(task)
        task.add_done_callback(self._aside.remove)

    @property
    def is_settled(self) -> bool:
        """Whether nothing goes on beside the release, and every row that was said is kept."""
        return not self._aside and self.ledger.is_written

    async def settle(self) -> None:
        """Give what goes on beside the release some minutes to end: as long as a notice's own pauses take."""
        if self._aside:
            await workflow.wait(list(self._aside), timeout=_ASIDE_ENDS_WITHIN.total_seconds())

    async def _performed(
        self, step: Step[OrderT, FindingT], order: OrderT, budget: timedelta | None, every: timedelta | None
    ) -> FindingT:
        row = self.expect(step, order.place)
        row.state, row.started, row.finished = State.RUNNING, workflow.now(), None
        self.stage(step.stage)
        try:
            finding = await perform(step, order, budget=budget, every=every)
        except ActivityError as error:
            if is_cancelled_exception(error):
                self._end(row, State.STOPPED)
                raise asyncio.CancelledError from error
            row.attempts += _attempts(step, error)
            failure = failure_of(step, order.place, error, budget or step.budget)
            self.failed(failure)
            raise failure from error
        except asyncio.CancelledError:
            self._end(row, State.STOPPED)
            raise
        row.finding, row.evidence, row.attempts = finding.summary, finding.evidence, row.attempts + finding.attempt
        row.trouble = row.hint = ""
        self._end(row, State.DONE)
        return finding

    def _end(self, row: Row, state: State) -> None:
        row.state, row.finished = state, workflow.now()
        self.changed()


def _attempts(step: Step[Any, Any], error: ActivityError) -> int:
    """How often a failed step was tried, as far as Temporal tells: all that its policy has, or at least once."""
    return step.retry.maximum_attempts if error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED else 1


def time_left(until: datetime) -> timedelta:
    """From now to then; never negative."""
    return max(until - workflow.now(), timedelta(0))
