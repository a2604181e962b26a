"""Performs steps, and keeps what became of each: for the board, the ledger and the people who watch."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from runbook import names, steps
    from runbook.board import board
    from runbook.message import Finding, Order, ReleaseRef
    from runbook.outline import row_of
    from runbook.record import EntriesToKeep, Entry
    from runbook.status import Outcome, Row, State, Status
    from runbook.step import Step
    from workflows.failure import StepFailed, failure_of

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)

_STAGE = SearchAttributeKey.for_keyword(names.SEARCH_STAGE)
_OUTCOME = SearchAttributeKey.for_keyword(names.SEARCH_OUTCOME)
_NEEDS = SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON)
_PROJECT = SearchAttributeKey.for_keyword(names.SEARCH_PROJECT)
_VERSION = SearchAttributeKey.for_keyword(names.SEARCH_VERSION)
_MESSAGES_KEPT = 50


class Journal:
    """The status of one run. `searchable` is switched on once a worker has said that the search attributes exist."""

    def __init__(self, ref: ReleaseRef, status: Status) -> None:
        self.ref = ref
        self.status = status
        self.searchable = False
        self.stopping: Callable[[], bool] = lambda: False
        self._shown: dict[str, Any] = {}
        self._events = 0
        self._aside: list[asyncio.Task[Any]] = []

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
        limit: timedelta | None = None,
        every: timedelta | None = None,
    ) -> FindingT:
        """Perform the step by its policy. Raises StepFailed, or CancelledError when the release is being stopped."""
        row = self.expect(step, order.place)
        row.state, row.started, row.finished = State.RUNNING, workflow.now(), None
        self.stage(step.stage)
        try:
            finding = await self._execute(step, order, budget or step.budget, limit or step.limit, every)
        except ActivityError as error:
            if is_cancelled_exception(error):
                self._end(row, State.STOPPED)
                raise asyncio.CancelledError from error
            failure = failure_of(step, order.place, error, budget or step.budget)
            self.failed(failure)
            raise failure from error
        except asyncio.CancelledError:
            self._end(row, State.STOPPED)
            raise
        row.finding, row.evidence, row.attempts = finding.summary, finding.evidence, row.attempts + finding.attempt
        row.trouble = row.hint = ""
        self._end(row, State.DONE)
        if self.stopping():
            # The change under way ended well although its cancellation was asked for: the request still stands.
            raise asyncio.CancelledError
        return finding

    def failed(self, failure: StepFailed) -> None:
        """Show why the step failed."""
        row = self.expect(failure.step, failure.host)
        row.trouble, row.hint, row.evidence = failure.what, failure.hint, failure.evidence
        self._end(row, State.FAILED)

    async def try_to(self, step: Step[OrderT, FindingT], order: OrderT) -> FindingT | None:
        """Perform a step that must not hold anything up; its failure is only noted."""
        try:
            return await self.attempt(step, order)
        except StepFailed as failure:
            self.note(f"{failure}")
            return None

    def soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let this go on beside the release, which does not wait for it."""
        task = asyncio.create_task(work)
        self._aside.append(task)
        task.add_done_callback(self._aside.remove)

    async def settle(self) -> None:
        """Give what goes on beside the release a minute to end."""
        if self._aside:
            await workflow.wait(self._aside, timeout=60)

    async def keep(self, actor: str, action: str, outcome: str, detail: str = "", **more: Any) -> None:
        """Write one row of the ledger, for ever if need be."""
        self._events += 1
        event = f"{self.ref.release}/said/{self._events}"
        entry = Entry(
            event=event, actor=actor, action=action, outcome=outcome, detail=detail, version=self.ref.version, **more
        )
        await self.attempt(steps.LEDGER, EntriesToKeep(ref=self.ref, entries=[entry]))

    def note(self, message: str) -> None:
        """Show this on the board, among the newest messages."""
        self.status.messages.append(f"{workflow.now():%H:%M:%S} {message}"[:600])
        if len(self.status.messages) > _MESSAGES_KEPT:
            self.status.unheard += len(self.status.messages) - _MESSAGES_KEPT
            del self.status.messages[:-_MESSAGES_KEPT]
        self.changed()

    def stage(self, name: str) -> None:
        """What the release is at now; an empty name leaves it where it was."""
        self.status.stage = name or self.status.stage
        self.changed()

    def close(self, outcome: Outcome, summary: str) -> None:
        self.status.outcome, self.status.summary, self.status.stage = outcome, summary, "done"
        self.status.finished = workflow.now()
        self.status.needs.clear()
        self.changed()

    def changed(self) -> None:
        """Show the status: the board as Temporal's current details, the search attributes where they differ."""
        workflow.set_current_details(board(self.status))
        if not self.searchable:
            return
        wanted: list[tuple[SearchAttributeKey[Any], Any]] = [
            (_PROJECT, self.status.project),
            (_VERSION, self.status.version),
            (_STAGE, self.status.stage),
            (_OUTCOME, self.status.outcome and str(self.status.outcome)),
            (_NEEDS, self.status.needs_person),
        ]
        updates: list[SearchAttributeUpdate[Any]] = [
            key.value_set(value) for key, value in wanted if value is not None and self._shown.get(key.name) != value
        ]
        if updates:
            self._shown |= {key.name: value for key, value in wanted}
            workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType] - partly untyped

    async def _execute(
        self,
        step: Step[OrderT, FindingT],
        order: OrderT,
        budget: timedelta | None,
        limit: timedelta,
        every: timedelta | None,
    ) -> FindingT:
        retry = step.retry
        if every is not None:
            retry = RetryPolicy(initial_interval=every, backoff_coefficient=1.0, maximum_interval=every)
        kind = workflow.ActivityCancellationType
        finding: FindingT = await workflow.execute_activity(
            step.name,
            order,
            result_type=step.finding,
            start_to_close_timeout=limit,
            schedule_to_close_timeout=budget,
            heartbeat_timeout=step.heartbeat,
            retry_policy=retry,
            cancellation_type=kind.WAIT_CANCELLATION_COMPLETED if step.changes else kind.TRY_CANCEL,
            summary=f"{step.title}{' on ' + order.place if order.place else ''}",
        )
        return finding

    def _end(self, row: Row, state: State) -> None:
        row.state, row.finished = state, workflow.now()
        self.changed()


def time_left(until: datetime) -> timedelta:
    """From now to then; never negative."""
    return max(until - workflow.now(), timedelta(0))
