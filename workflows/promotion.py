"""Production changes: batch by batch, watched, and returned whole when anything goes wrong."""

import asyncio
from types import TracebackType
from typing import Self, TypeVar

from temporalio import workflow

from runbook import steps
from runbook.approval import departure
from runbook.image import Image
from runbook.message import Finding, Order
from runbook.orders import Orders
from runbook.project import OnUnhealthy
from runbook.service import HealthToVerify, WayBack
from runbook.status import Outcome
from runbook.step import Step
from runbook.trouble import Cause
from runbook.way_back import common
from workflows.concurrency import side_by_side, uncancellable
from workflows.failure import StepFailed, Stop
from workflows.handover import Handover
from workflows.lane import Lane

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)

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
        self.downtime: list[str] = []

    async def __aenter__(self) -> Self:
        self._lane.promoting = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._touched and isinstance(error, (StepFailed, Stop, asyncio.CancelledError)):
            recorded = common(list(self._ways_back.values()), self._orders.plan.last_good)
            ways_back = [way_back for way_back in recorded if way_back.host in self._touched]
            await uncancellable(Handover(self._lane, self._orders, ways_back, self._containers).because_of(error))

    async def swap(self, batch: list[str]) -> None:
        """New containers on these hosts, side by side, each healthy before this returns."""
        if self._touched and self._orders.project.production.pause:
            await workflow.sleep(self._orders.project.production.pause, summary="pause between batches")
        await side_by_side(self._swap(host) for host in batch)

    async def verify(self) -> None:
        hosts = self._orders.project.production.hosts
        await side_by_side(self._insist(steps.VERIFY, self._health(host)) for host in hosts)

    async def soak(self) -> None:
        if self._orders.project.production.soak.lasts:
            await self._insist(steps.SOAK, self._orders.soak_to_watch(self._image))

    async def record_hosts(self) -> None:
        """What each host is left with, for those who look for drift later; one that can't be asked holds nothing up."""
        if workflow.patched("record-host"):
            hosts, record = self._orders.project.production.hosts, self._orders.host_to_record
            look = self._lane.journal.try_to
            await side_by_side(look(steps.RECORD_HOST, record(host, self._image.digest)) for host in hosts)

    async def _swap(self, host: str) -> None:
        self._refuse_unapproved()
        self._touched.append(host)
        order = self._orders.swap_to_make(host, self._image, self._ways_back[host])
        swapped = await self._insist(steps.SWAP, order)
        self._containers[host] = swapped.container_id
        if swapped.downtime:
            self.downtime.append(f"{host}: {swapped.downtime}")
        await self._insist(steps.HEALTH, self._health(host))

    def _refuse_unapproved(self) -> None:
        """What was approved is what runs: asked before every host, of the very values that its orders are made from."""
        view = self._lane.journal.status.gate
        why = departure(view, self._image, self._orders.plan.fingerprint) if view else "nothing was approved"
        if why:
            raise Stop(Outcome.ABORTED, why)

    def _health(self, host: str) -> HealthToVerify:
        return self._orders.health_to_verify(host, self._image, self._containers.get(host))

    async def _insist(self, step: Step[OrderT, FindingT], order: OrderT) -> FindingT:
        """An unhealthy production is returned, unless the project wants to be asked; other trouble always asks."""
        asks = self._orders.project.production.on_unhealthy is OnUnhealthy.ASK
        while True:
            try:
                return await self._lane.journal.attempt(step, order)
            except StepFailed as failure:
                if failure.cause in _UNHEALTHY and not asks:
                    raise
                await self._lane.waiting.wait(failure)
