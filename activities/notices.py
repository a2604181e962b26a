"""Tells people, once each: a notice that the ledger knows as sent is not sent again."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from temporalio import activity

from activities.binding import performs
from activities.errors import NotYet, Refused, StepError, Unreachable
from activities.heartbeat import ended
from runbook import steps
from runbook.message import Order
from runbook.record import Entry, NoticeToSend, ReminderToSend, SentNotice

ACTION = "notice"
_TRIED_AGAIN = timedelta(minutes=5)


class Notifier(Protocol):
    async def send(self, reference: str, title: str, body: str) -> None: ...


class Ledger(Protocol):
    async def has(self, event_id: str) -> bool: ...

    async def keep(self, order: Order, entries: Sequence[Entry]) -> str: ...


class NoticeActivities:
    def __init__(self, notifier: Notifier, ledger: Ledger) -> None:
        self._notifier = notifier
        self._ledger = ledger

    @performs(steps.ON_CALL)
    async def on_call(self, order: NoticeToSend) -> SentNotice:
        return await self._told(order)

    @performs(steps.NOTIFY)
    async def tell(self, order: NoticeToSend) -> SentNotice:
        return await self._told(order)

    @performs(steps.REMIND)
    async def remind(self, order: ReminderToSend) -> SentNotice:
        """Send what is due by Temporal's clock, and be asked again when the next is; it ends only by being cancelled.

        Raises:
            NotYet: the next one is still to come.
            Unreachable: one could not be sent.
        """
        now = activity.info().started_time
        notice = order.due(now)
        if notice is not None:
            try:
                await self._told(notice)
            except StepError as trouble:
                again = min(_TRIED_AGAIN, order.until_next(now))
                raise Unreachable(
                    str(trouble), cause=trouble.cause, evidence=trouble.evidence, again=again
                ) from trouble
        raise NotYet("the next reminder is still to come", again=order.until_next(now))

    async def _told(self, order: NoticeToSend) -> SentNotice:
        """Send to each address that the ledger does not know as told; one that fails does not keep the others waiting.

        A worker killed between sending and keeping sends twice: better than not at all, and the id in the text shows it.
        """
        notice = notice_id(order)
        body = f"{order.body}\n\nnotice {notice} of {order.ref.workflow_id}".lstrip()
        troubles: list[StepError] = []
        references = addressed(order)
        for reference in references:
            try:
                # What was sent is kept as sent, also where a cancellation comes in between.
                await ended(self._once(order, notice, reference, body))
            except StepError as trouble:
                troubles.append(trouble)
        if troubles:
            raise _some_failed(notice, len(references), troubles)
        people = order.to.replace("_", "-")
        return SentNotice(
            notice=notice,
            summary=f"{people} told, notice {notice}",
            evidence=[f"notice {notice} to {reference}: {order.title[:200]}" for reference in references][:20],
        )

    async def _once(self, order: NoticeToSend, notice: str, reference: str, body: str) -> None:
        event = f"{ACTION}/{notice}/{hashlib.sha256(reference.encode()).hexdigest()[:12]}"
        if await self._ledger.has(event):
            return
        await self._notifier.send(reference, order.title, body)
        sent = Entry(
            event=event,
            actor="worker",
            action=ACTION,
            place=reference,
            outcome="sent",
            detail=f"{notice}: {order.title}"[:2000],
            version=order.ref.version,
        )
        await self._ledger.keep(order, [sent])


def notice_id(order: NoticeToSend) -> str:
    """The same for every try at this notice of this run, another for any other; of every run where it says `once`."""
    identity = f"{order.ref.workflow_id}/{order.ref.release}/{order.to}/{order.key}"
    if order.once:
        identity = f"{order.ref.project}/{order.to}/{order.once}"
    return hashlib.sha256(identity.encode()).hexdigest()[:10]


def addressed(order: NoticeToSend) -> list[str]:
    """Each address once; approvers without an address of their own are told through all approvers', or on-call's."""
    notify = order.notify
    if order.to != "approvers":
        return list(dict.fromkeys(notify.on_call))
    own = [notify.people[person] for person in order.people if person in notify.people]
    if not order.people or len(own) < len(order.people):
        own += notify.approvers or notify.on_call
    return list(dict.fromkeys(own))


def _some_failed(notice: str, wanted: int, troubles: list[StepError]) -> StepError:
    """Worth another try when any of them is."""
    retryable = [trouble for trouble in troubles if trouble.retryable]
    kind, worst = (Unreachable, retryable[0]) if retryable else (Refused, troubles[0])
    said = "; ".join(str(trouble) for trouble in troubles)
    message = f"notice {notice}: {len(troubles)} of {wanted} addresses not told: {said}"
    return kind(message, cause=worst.cause, evidence=[str(trouble) for trouble in troubles][:20])
