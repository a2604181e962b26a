"""The last look before production changes: the hours, the signatures and what people approved, once more."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow

from runbook import steps
from runbook.approval import VerifiedSignature
from runbook.image import Image
from runbook.orders import Orders
from runbook.status import GateView, GivenDecision, Outcome
from runbook.window import ReleaseWindow
from workflows.concurrency import Afterwards
from workflows.failure import Stop
from workflows.journal import time_left
from workflows.lane import Lane
from workflows.proof import signature_order

# A clock that was set back, or a file of time zones that changed, must not make a long sleep of it.
_LONGEST_SLEEP = timedelta(days=1)


class LastLook:
    """What stands between an approval and the first change of production."""

    def __init__(self, lane: Lane, orders: Orders, image: Image) -> None:
        self._lane = lane
        self._orders = orders
        self._image = image
        self._closes: datetime | None = None

    async def in_hours(self) -> None:
        """Return when production may be changed; people are told when that will be."""
        if not self._orders.project.gate.has_hours:
            return
        told: datetime | None = None
        while not (found := await self._window()).is_open or self._has_closed(found.closes):
            if found.is_open:
                continue
            if found.opens is None or found.opens != told:
                self._tell_hours(found)
            told = found.opens
            await self._wait(found)
        self._closes = found.closes

    async def confirm(self) -> None:
        """Still in hours, every approval still proved, and what changed outside reported. Raises Stop."""
        await self.in_hours()
        await self._prove_all()
        await self._report()
        # Any of these may have waited for a person, or for a worker.
        while self._has_closed(self._closes):
            await self.in_hours()
            await self._prove_all()
        # The report may have ended in the very moment in which the release was stopped.
        if self._lane.is_stopping() and workflow.patched("a-stop-is-heard-before-the-first-swap"):
            raise asyncio.CancelledError

    def _has_closed(self, closes: datetime | None) -> bool:
        """Whether what was open when it was asked for has closed since."""
        is_over = closes is not None and workflow.now() >= closes
        return is_over and workflow.patched("hours-are-looked-at-last")

    async def _window(self) -> ReleaseWindow:
        return await self._lane.waiting.perform(steps.WINDOW, self._orders.window_to_check(workflow.now()))

    async def _wait(self, found: ReleaseWindow) -> None:
        status = self._lane.journal.status
        status.pause = f"production waits for the release window: {found.why}"
        self._lane.journal.changed()
        with Afterwards(self._go_on):
            left = time_left(found.opens) if found.opens else _LONGEST_SLEEP
            await workflow.sleep(min(left, _LONGEST_SLEEP), summary="the release window is closed")

    def _go_on(self) -> None:
        self._lane.journal.status.pause = ""
        self._lane.journal.changed()

    def _tell_hours(self, found: ReleaseWindow) -> None:
        ref = self._orders.ref
        self._lane.journal.note(f"production waits for the release window: {found.why}")
        title = f"{ref.project} {ref.version} is approved and waits for the release window"
        key = f"window/{found.opens:%Y%m%dT%H%M}" if found.opens else "window/none"
        body = f"{found.why}. It is promoted by itself then; send abort to stop it."
        notice = self._orders.notice("on_call", key, title, body)
        self._lane.journal.soon(self._lane.journal.try_to(steps.NOTIFY, notice))

    async def _prove_all(self) -> None:
        view = self._lane.journal.status.gate
        if view is not None and view.signed:
            for approval in view.approvals:
                await self._prove(view, approval)

    async def _prove(self, view: GateView, approval: GivenDecision) -> None:
        order = signature_order(self._orders, self._lane.journal.status, view, approval)
        found: VerifiedSignature = await self._lane.waiting.perform(steps.VERIFY_SIGNATURE, order)
        if not found.ok:
            raise Stop(Outcome.ABORTED, f"the approval of {approval.by} no longer holds: {found.why}")

    async def _report(self) -> None:
        """What changed since the approval changes nothing: what runs is what was approved."""
        journal, ref = self._lane.journal, self._orders.ref
        found = await journal.try_to(steps.DRIFT, self._orders.drift_to_find(self._image))
        if found is None or not found.differences:
            return
        for difference in found.differences:
            journal.note(difference)
        title = f"{ref.project} {ref.version}: something changed since it was approved"
        notice = self._orders.notice("on_call", "drift", title, "\n".join(found.differences))
        journal.soon(journal.try_to(steps.NOTIFY, notice))
