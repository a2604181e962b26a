"""Asks Temporal's history who really sent a decision: the name in the decision is only claimed."""

from typing import Protocol

from activities.binding import performs
from activities.errors import Unreachable
from runbook import steps
from runbook.sender import IdentifiedSender, SenderToIdentify


class Histories(Protocol):
    async def sender(self, workflow_id: str, run_id: str, sought: SenderToIdentify) -> IdentifiedSender | None:
        """None when the history has no such message."""
        ...


class SenderActivities:
    def __init__(self, histories: Histories) -> None:
        self._histories = histories

    @performs(steps.IDENTIFY_SENDER)
    async def identify(self, order: SenderToIdentify) -> IdentifiedSender:
        found = await self._histories.sender(order.ref.workflow_id, order.run or order.ref.release, order)
        if found is None:
            what = f"signal {order.name} number {order.number}" if order.message == "signal" else order.update_id
            raise Unreachable(f"the history of {order.ref.workflow_id} does not show {what} yet; looked at again")
        return found
