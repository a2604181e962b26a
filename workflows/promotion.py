"""Production changes: batch by batch, watched, and returned whole when anything goes wrong."""

import asyncio
from types import TracebackType
from typing import Self

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from runbook import names, steps
    from runbook.image import Image
    from runbook.message import Finding
    from runbook.orders import Orders
    from runbook.project import OnUnhealthy
    from runbook.record import FailedRelease
    from runbook.service import HealthToVerify, WayBack
    from runbook.status import Outcome, RollbackResult, timeline
    from runbook.step import Step
    from runbook.trouble import Cause
    from workflows.concurrency import side_by_side, uncancellable
    from workflows.failure import StepFailed, Stop
    from workflows.lane import Lane

_UNHEALTHY = {Cause.CONTAINER_EXITED, Cause.UNHEALTHY, Cause.WRONG_VERSION}


class Promotion:
    """All or previous everywhere: leaving the block by an exception returns every touched host to its way back."""

    def __init__(self, lane: Lane, orders: Orders, image: Image, ways_back: list[WayBack]) -> None:
        self._lane = lane
        self._orders = orders
        self._image = image
        self._ways_back = {way_back.host: way_back for way_back in ways_back}
        self._containers: dict[str, str] = {}
        self._touched: list[str] = []

    async def __aenter__(self) -> Self:
        self._lane.promoting = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (StepFailed, Stop, asyncio.CancelledError)):
            await uncancellable(self._return(error))

    async def swap(self, batch: list[str]) -> None:
        """New containers on these hosts, side by side, each healthy before this returns."""
        if self._touched and self._orders.project.production.pause:
            await workflow.sleep(self._orders.project.production.pause, summary="pause between batches")
        await side_by_side(self._swap(host) for host in batch)

    async def verify(self) -> None:
        hosts = self._orders.project.production.hosts
        await side_by_side(self._watched(steps.VERIFY, host) for host in hosts)

    async def soak(self) -> None:
        soak = self._orders.project.production.soak
        if soak.lasts:
            await self._lane.journal.attempt(steps.SOAK, self._orders.soak_to_watch(self._image))

    async def _swap(self, host: str) -> None:
        self._touched.append(host)
        order = self._orders.swap_to_make(host, self._image, self._ways_back[host])
        while True:
            try:
                swapped = await self._lane.journal.attempt(steps.SWAP, order)
                break
            except StepFailed as failure:
                await self._ask_or_return(failure)
        self._containers[host] = swapped.container_id
        await self._watched(steps.HEALTH, host)

    async def _watched(self, step: Step[HealthToVerify, Finding], host: str) -> None:
        order = self._orders.health_to_verify(host, self._image, self._containers.get(host))
        while True:
            try:
                await self._lane.journal.attempt(step, order)
                return
            except StepFailed as failure:
                await self._ask_or_return(failure)

    async def _ask_or_return(self, failure: StepFailed) -> None:
        """An unhealthy production is returned, unless the project wants to be asked; other trouble always asks."""
        asks = self._orders.project.production.on_unhealthy is OnUnhealthy.ASK
        if failure.cause in _UNHEALTHY and not asks:
            raise failure
        await self._lane.waiting.wait(failure)

    async def _return(self, error: BaseException) -> None:
        if not self._touched:
            return
        self._lane.journal.stopping = lambda: False
        reason, asked_by = self._reason(error)
        self._lane.journal.note(f"rolling back {', '.join(self._touched)}: {reason}")
        evidence = await self._seen(error)
        self._tell(reason, evidence)
        self._lane.journal.stage("rollback")
        try:
            result = await self._roll_back(reason, asked_by, evidence)
        except ChildWorkflowError as gave_up:
            raise ApplicationError(
                f"rolling back was given up: {gave_up.cause}", type="RollbackGivenUp", non_retryable=True
            ) from gave_up
        raise Stop(Outcome.ROLLED_BACK, f"{reason}; {result.summary}") from error

    def _reason(self, error: BaseException) -> tuple[str, str]:
        stop = self._lane.stop
        if isinstance(error, asyncio.CancelledError):
            if stop is not None:
                return f"{stop.kind} by {stop.by}: {stop.reason or 'without a reason'}", stop.by
            return f"cancelled through Temporal: {workflow.cancellation_reason() or 'without a reason'}", ""
        return str(error), ""

    async def _seen(self, error: BaseException) -> list[str]:
        if not isinstance(error, StepFailed) or not error.host:
            return []
        order = self._orders.logs_to_fetch(error.host, self._containers.get(error.host))
        logs = await self._lane.journal.try_to(steps.LOGS, order)
        return [*error.evidence, *(logs.evidence if logs else [])]

    def _tell(self, reason: str, evidence: list[str]) -> None:
        ref = self._orders.ref
        title = f"{ref.project} {ref.version}: rolling back production"
        notice = self._orders.notice("on_call", "rollback", title, "\n".join([reason, *evidence[-10:]]))
        self._lane.journal.soon(self._lane.journal.try_to(steps.NOTIFY, notice))

    async def _roll_back(self, reason: str, asked_by: str, evidence: list[str]) -> RollbackResult:
        order = FailedRelease(
            failed=self._orders.ref,
            plan=self._orders.plan,
            ways_back=[self._ways_back[host] for host in self._touched],
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
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=f"roll back {self._orders.ref.project} {self._orders.ref.version}",
        )
        return result
