"""Staging: it bears the candidate, or returns to what it ran before, so that the next release finds it well."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from temporalio import workflow

from runbook import steps
from runbook.image import Image
from runbook.orders import Orders
from runbook.service import RehearsedRollback, SwappedContainer
from workflows.concurrency import side_by_side, uncancellable
from workflows.failure import StepFailed, Stop
from workflows.lane import Lane

_LINES_TOLD = 5
_LOGS_WITHIN = timedelta(seconds=20)


class Staging:
    """Leaving the block by an exception returns every staging host that this release may have changed."""

    def __init__(self, lane: Lane, orders: Orders, image: Image) -> None:
        self._lane = lane
        self._orders = orders
        self._image = image
        self._touched: list[str] = []
        # Asked where every release comes by: one of an earlier version leaves its candidate there.
        self._returns = workflow.patched("staging-returns")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._returns and isinstance(error, (Stop, asyncio.CancelledError)):
            await uncancellable(side_by_side(self._put_back(host) for host in self._touched))

    async def stage(self) -> list[SwappedContainer]:
        return await side_by_side(self._stage(host) for host in self._orders.project.staging.hosts)

    async def rehearse(self, staged: list[SwappedContainer]) -> list[RehearsedRollback]:
        """Where the project wants it: roll back and deploy again, on every host."""
        if not self._orders.project.staging.rehearse_rollback:
            return []
        do, order = self._lane.waiting.perform, self._orders.rollback_to_rehearse
        return await side_by_side(do(steps.REHEARSE, order(each, self._image)) for each in staged)

    async def smoke_test(self, staged: SwappedContainer) -> None:
        """People who are asked see what the service logged, which is gone with it once staging has returned."""
        while True:
            try:
                await self._lane.journal.attempt(steps.SMOKE_TEST, self._orders.smoke_test(staged.host))
            except StepFailed as failure:
                failure.evidence = await self._with_logs(failure, staged)
                await self._lane.waiting.wait(failure)
            else:
                return

    async def _stage(self, host: str) -> SwappedContainer:
        self._touched.append(host)
        return await self._lane.waiting.perform(steps.STAGE, self._orders.image_to_stage(host, self._image))

    async def _with_logs(self, failure: StepFailed, staged: SwappedContainer) -> list[str]:
        if not self._returns:
            return failure.evidence
        order = self._orders.staging_logs_to_fetch(staged)
        logs = await self._lane.journal.try_to(steps.LOGS, order, budget=_LOGS_WITHIN)
        told = [f"{staged.host} logged:", *logs.evidence[1 - _LINES_TOLD :]] if logs else []
        return [*failure.evidence[-_LINES_TOLD:], *told]

    async def _put_back(self, host: str) -> None:
        """Try to: a host that can't be returned must not keep the next release from its turn."""
        journal, plan = self._lane.journal, self._orders.plan
        if await journal.try_to(steps.PUT_STAGING_BACK, self._orders.staging_to_put_back(host)) is None:
            what = (
                f"{host} could not be returned to what it ran before {plan.version}: see the board, repair it by hand"
            )
            title = f"{self._orders.ref.project} {plan.version}: staging needs repair"
            notice = self._orders.notice("on_call", f"staging/{host}", title, what)
            journal.soon(journal.try_to(steps.NOTIFY, notice))
