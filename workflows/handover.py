"""A release that can't stand hands production back: to a rollback of its own, which outlives it."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError, WorkflowAlreadyStartedError

from runbook import names, steps
from runbook.orders import Orders
from runbook.record import FailedRelease
from runbook.service import WayBack
from runbook.status import Outcome, RollbackResult, timeline
from runbook.step import TASK_WITHIN
from workflows.failure import GivenUp, StepFailed, Stop
from workflows.lane import Lane

_LOGS_WITHIN = timedelta(seconds=20)
_LONGEST_PAUSE = timedelta(minutes=30)


class Handover:
    """The way back of every host that the release touched."""

    def __init__(self, lane: Lane, orders: Orders, ways_back: list[WayBack], containers: dict[str, str]) -> None:
        self._lane = lane
        self._orders = orders
        self._ways_back = ways_back
        self._containers = containers

    async def because_of(self, error: BaseException) -> None:
        """Return when production is back, by raising the Stop that ends the release."""
        self._lane.returning = True
        self._lane.journal.stopping = lambda: False
        reason, asked_by = self._reason(error)
        hosts = ", ".join(way_back.host for way_back in self._ways_back)
        self._lane.journal.note(f"rolling back {hosts}: {reason}")
        self._lane.journal.stage("rollback")
        evidence = await self._seen(error)
        self._tell("rollback", "rolling back production", "\n".join([reason, *evidence[-10:]]))
        try:
            result = await self._rolled_back(reason, asked_by, evidence)
        except ChildWorkflowError as broken_off:
            why = f"rolling back {hosts} was given up, they may run different versions: {_deepest(broken_off)}"
            raise GivenUp(Outcome.ABORTED, why) from broken_off
        raise Stop(Outcome.ROLLED_BACK, f"{reason}; {result.summary}") from error

    def _reason(self, error: BaseException) -> tuple[str, str]:
        stop = self._lane.stop
        if not isinstance(error, asyncio.CancelledError):
            return str(error), ""
        if stop is not None:
            return f"{stop.kind} by {stop.by}: {stop.reason or 'without a reason'}", stop.by
        return f"cancelled through Temporal: {workflow.cancellation_reason() or 'without a reason'}", ""

    async def _seen(self, error: BaseException) -> list[str]:
        """What the failed step saw, and the container's log where it can be had at once."""
        if not isinstance(error, StepFailed) or not error.host:
            return []
        order = self._orders.logs_to_fetch(error.host, self._containers.get(error.host))
        logs = await self._lane.journal.try_to(steps.LOGS, order, budget=_LOGS_WITHIN)
        return [*error.evidence, *(logs.evidence if logs else [])]

    def _tell(self, key: str, what: str, body: str) -> None:
        ref = self._orders.ref
        notice = self._orders.notice("on_call", key, f"{ref.project} {ref.version}: {what}", body)
        self._lane.journal.soon(self._lane.journal.try_to(steps.NOTIFY, notice))

    async def _rolled_back(self, reason: str, asked_by: str, evidence: list[str]) -> RollbackResult:
        """The rollback's result; while the rollback of an earlier release still goes on, this one waits for it."""
        pause, told = timedelta(seconds=2), False
        while True:
            try:
                return await self._start(reason, asked_by, evidence)
            except WorkflowAlreadyStartedError:
                lane = names.rollback_lane(self._orders.ref.project)
                what = f"{lane} of an earlier release still goes on: this rollback begins when it has ended"
                if not told:
                    self._lane.journal.note(what)
                    self._tell("rollback/waits", "a rollback waits for another", what)
                told = True
                await workflow.sleep(pause, summary=f"until {lane} has ended")
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _start(self, reason: str, asked_by: str, evidence: list[str]) -> RollbackResult:
        order = FailedRelease(
            failed=self._orders.ref,
            plan=self._orders.plan,
            ways_back=self._ways_back,
            reason=reason,
            asked_by=asked_by,
            timeline=timeline(self._lane.journal.status),
            evidence=evidence[:30],
        )
        result: RollbackResult = await workflow.execute_child_workflow(
            names.ROLLBACK_WORKFLOW,
            order,
            id=names.rollback_lane(self._orders.ref.project),
            result_type=RollbackResult,
            task_timeout=TASK_WITHIN,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=f"roll back {self._orders.ref.project} {self._orders.ref.version}",
        )
        return result


def _deepest(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return error.message if isinstance(error, FailureError) else str(error)
