"""A rollback: every host returns to what it ran before, each for itself, for as long as it takes."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from runbook import names, outline, steps
    from runbook.host_orders import HostOrders
    from runbook.image import Image
    from runbook.record import FailedRelease
    from runbook.service import WayBack
    from runbook.status import Outcome, RollbackResult, timeline
    from workflows.admission import admit_rollback
    from workflows.concurrency import side_by_side, uncancellable
    from workflows.escalation import Escalation
    from workflows.gate import Gate
    from workflows.lane import Lane, read_order, reference

_FIRST_WORD_AFTER = timedelta(minutes=2)


@workflow.defn(name=names.ROLLBACK_WORKFLOW)
class RollbackWorkflow(Lane):
    """Started by a release as its child, or by hand. Neither a cancellation nor its parent's end stops it."""

    @workflow.init
    def __init__(self, order: Any = None) -> None:
        self.open("rollback", reference(order))
        self.gate = Gate(self.journal)

    @workflow.run
    async def run(self, order: Any = None) -> RollbackResult:
        return await uncancellable(self.rolled_back(order))

    async def rolled_back(self, order: Any) -> RollbackResult:
        # Only a release can name hosts and images: whoever starts a rollback by hand names a version.
        if workflow.info().parent is not None:
            return await self.after(read_order(FailedRelease, order))
        return await self.by_hand(order)

    async def after(self, failed: FailedRelease) -> RollbackResult:
        """Return the hosts that a failed release touched."""
        orders = HostOrders(self.journal.ref, failed.plan.project)
        hosts = [way_back.host for way_back in failed.ways_back]
        self.journal.status.reason = failed.reason[:300]
        self.journal.searchable = failed.plan.search_attributes
        self.outline(outline.of_rollback(hosts, by_hand=False))
        works = [self.put_back(orders, way_back, failed.failed.release) for way_back in failed.ways_back]
        return await self.end(orders, hosts, works, failed.reason, failed.timeline, failed.evidence)

    async def by_hand(self, order: Any) -> RollbackResult:
        """Return every production host to a version that was good."""
        plan = await admit_rollback(self, order)
        orders = HostOrders(self.journal.ref, plan.project)
        hosts = plan.project.production.hosts
        works = [self.return_to(orders, host, plan.image) for host in hosts]
        return await self.end(orders, hosts, works, self.journal.status.reason, [], [])

    async def put_back(self, orders: HostOrders, way_back: WayBack, failed_release: str) -> None:
        do = self.waiting.perform
        restored = await do(steps.PUT_BACK, orders.host_to_put_back(way_back, failed_release))
        if restored.digest and restored.version:
            image = orders.image(restored.version, restored.digest)
            await do(steps.PUT_BACK_HEALTH, orders.health_to_verify(way_back.host, image, restored.container_id))

    async def return_to(self, orders: HostOrders, host: str, image: Image) -> None:
        do = self.waiting.perform
        swapped = await do(steps.RETURN, orders.swap_to_make(host, image, None))
        await do(steps.PUT_BACK_HEALTH, orders.health_to_verify(host, image, swapped.container_id))

    async def end(
        self,
        orders: HostOrders,
        hosts: list[str],
        works: Sequence[Coroutine[Any, Any, None]],
        reason: str,
        before: list[str],
        evidence: list[str],
    ) -> RollbackResult:
        """All hosts, each for itself; then exactly one postmortem."""
        self.escalation = Escalation(self.journal, orders, patient=True)
        told = [self.told(orders, host, work) for host, work in zip(hosts, works, strict=True)]
        outcome, summary = await self.conclude(orders, self.returned(orders, hosts, told, reason, before, evidence))
        if outcome is not Outcome.ROLLED_BACK:
            raise ApplicationError(summary, type="RollbackGivenUp", non_retryable=True)
        status = self.journal.status
        return RollbackResult(
            outcome=outcome, project=status.project, version=status.version, summary=summary, hosts=hosts
        )

    async def returned(
        self,
        orders: HostOrders,
        hosts: list[str],
        works: Sequence[Coroutine[Any, Any, None]],
        reason: str,
        before: list[str],
        evidence: list[str],
    ) -> tuple[Outcome, str]:
        await side_by_side(works)
        happened = [*before, *timeline(self.journal.status)]
        issue = await self.waiting.perform(steps.POSTMORTEM, orders.postmortem_to_open(reason, happened, evidence))
        return Outcome.ROLLED_BACK, f"{', '.join(hosts)} returned to what ran before; postmortem {issue.url}"

    async def told(self, orders: HostOrders, host: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it, and tell people for as long as it isn't done."""
        reminders = asyncio.create_task(self._remind(orders, host))
        try:
            await work
        finally:
            reminders.cancel()

    def is_stopping(self) -> bool:
        return self.stop is not None

    async def _remind(self, orders: HostOrders, host: str) -> None:
        pause, number = _FIRST_WORD_AFTER, 0
        while True:
            await workflow.sleep(pause, summary=f"is {host} back?")
            pause, number = orders.project.wait.remind_every, number + 1
            what = f"{host} is not back on its previous version yet; it is tried again until it is"
            self.journal.note(what)
            title = f"{self.journal.status.workflow_id}: {host} still to be put back"
            notice = orders.notice("on_call", f"put-back/{host}/{number}", title, what)
            self.journal.soon(self.journal.try_to(steps.NOTIFY, notice))
