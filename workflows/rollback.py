"""A rollback: every host returns to what it ran before, each for itself, for as long as it takes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.host_orders import HostOrders
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.service import WayBack
from runbook.status import Outcome, RollbackResult, timeline
from workflows.admission import admit_failed, admit_rollback
from workflows.concurrency import Afterwards, side_by_side, uncancellable
from workflows.escalation import Escalation
from workflows.gate import Gate
from workflows.lane import Lane
from workflows.order import reference
from workflows.payload import undecoded

_FIRST_WORD_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Incident:
    """What is put right and why: how each host is returned, what the release had seen before."""

    orders: HostOrders
    hosts: Mapping[str, Callable[[], Awaitable[None]]]
    reason: str
    before: list[str] = field(default_factory=list[str])
    evidence: list[str] = field(default_factory=list[str])
    failed: ReleaseRef | None = None


@workflow.defn(name=names.ROLLBACK_WORKFLOW)
class RollbackWorkflow(Lane):
    """Started by a release as its child, or by hand. Neither a cancellation nor its parent's end stops it."""

    postmortem = ""

    @workflow.init
    @undecoded
    def __init__(self, *payloads: Any) -> None:
        self.open("rollback", reference(payloads))
        self.gate = Gate(self.journal)

    @workflow.run
    @undecoded
    async def run(self, *payloads: Any) -> RollbackResult:
        return await uncancellable(self.rolled_back(payloads))

    async def rolled_back(self, payloads: tuple[Any, ...]) -> RollbackResult:
        # Only a release can name hosts and images: whoever starts a rollback by hand names a version.
        by_hand = workflow.info().parent is None
        incident = await self.admitted(self.by_hand(payloads) if by_hand else self.after(payloads))
        self.escalation = Escalation(self.journal, incident.orders, way_out=lambda: names.ABORT, patient=True)

        outcome, summary = await self.conclude(incident.orders, self.put_right(incident))

        if outcome is not Outcome.ROLLED_BACK:
            raise ApplicationError(summary, type="RollbackGivenUp", non_retryable=True)
        return RollbackResult(
            outcome=outcome,
            project=self.journal.status.project,
            version=self.journal.status.version,
            summary=summary,
            hosts=list(incident.hosts),
            postmortem=self.postmortem,
        )

    async def after(self, payloads: tuple[Any, ...]) -> Incident:
        """Return the hosts that a failed release touched."""
        failed = admit_failed(self, payloads)
        orders = HostOrders(self.journal.ref, failed.plan.project)
        release = failed.failed.release
        hosts = {back.host: partial(self.put_back, orders, back, release) for back in failed.ways_back}
        return Incident(orders, hosts, failed.reason, failed.timeline, failed.evidence, failed.failed)

    async def by_hand(self, payloads: tuple[Any, ...]) -> Incident:
        """Return every production host to a version that was good."""
        plan = await admit_rollback(self, payloads)
        orders = HostOrders(self.journal.ref, plan.project)
        hosts = {host: partial(self.return_to, orders, host, plan.image) for host in plan.project.production.hosts}
        return Incident(orders, hosts, self.journal.status.reason)

    async def put_right(self, incident: Incident) -> tuple[Outcome, str]:
        """All hosts, each for itself; then exactly one postmortem."""
        await side_by_side(self.told(incident.orders, host, work) for host, work in incident.hosts.items())
        happened = [*incident.before, *timeline(self.journal.status)]
        order = incident.orders.postmortem_to_open(incident.reason, happened, incident.evidence, incident.failed)
        self.postmortem = (await self.waiting.perform(steps.POSTMORTEM, order)).url
        return Outcome.ROLLED_BACK, f"{', '.join(incident.hosts)} returned; postmortem {self.postmortem}"

    async def put_back(self, orders: HostOrders, way_back: WayBack, failed_release: str) -> None:
        do = self.waiting.perform
        restored = await do(steps.PUT_BACK, orders.host_to_put_back(way_back, failed_release))
        image = orders.image(restored.version, restored.digest) if restored.version and restored.digest else None
        # What ran before the first release may be known by its container alone: it must be well all the same.
        if image or (restored.container_id and workflow.patched("health-of-what-is-known-by-its-container")):
            await do(steps.PUT_BACK_HEALTH, orders.health_to_verify(way_back.host, image, restored.container_id))
        await self.record(orders, way_back.host, restored.digest)

    async def return_to(self, orders: HostOrders, host: str, image: Image) -> None:
        do = self.waiting.perform
        swapped = await do(steps.RETURN, orders.image_to_return(host, image))
        await do(steps.PUT_BACK_HEALTH, orders.health_to_verify(host, image, swapped.container_id))
        await self.record(orders, host, image.digest)

    async def record(self, orders: HostOrders, host: str, digest: str | None) -> None:
        """What the host is left with; that it can't be asked holds nothing up."""
        if workflow.patched("record-host"):
            await self.journal.try_to(steps.RECORD_HOST, orders.host_to_record(host, digest))

    async def told(self, orders: HostOrders, host: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, and tell people for as long as it isn't done."""
        reminders = asyncio.create_task(self._remind(orders, host))
        with Afterwards(reminders.cancel):
            await work()

    def is_cancelled(self) -> bool:
        return False

    async def _remind(self, orders: HostOrders, host: str) -> None:
        pause, number = _FIRST_WORD_AFTER, 0
        while True:
            await workflow.sleep(pause, summary=f"is {host} back?")
            pause, number = orders.project.wait.remind_every, number + 1
            if any(need.host == host for need in self.journal.status.needs):
                continue  # people are told of it already, and reminded
            what = f"{host} is not back on its previous version yet; it is tried again until it is"
            self.journal.note(what)
            title = f"{self.journal.status.workflow_id}: {host} still to be put back"
            notice = orders.notice("on_call", f"put-back/{host}/{number}", title, what)
            self.journal.soon(self.journal.try_to(steps.NOTIFY, notice))
