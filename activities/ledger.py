"""Keeps what workflows say: decisions, outcomes and whatever else is not a step of its own."""

from collections.abc import Sequence
from typing import Protocol

from activities.binding import performs
from runbook import steps
from runbook.message import Order
from runbook.record import EntriesToKeep, Entry, KeptEntries


class Keeping(Protocol):
    async def keep(self, order: Order, entries: Sequence[Entry]) -> str: ...


class LedgerActivities:
    def __init__(self, ledger: Keeping) -> None:
        self._ledger = ledger

    @performs(steps.LEDGER)
    async def keep(self, order: EntriesToKeep) -> KeptEntries:
        head = await self._ledger.keep(order, order.entries)
        return KeptEntries(head=head, summary=f"the ledger's head is {head[:12]}", evidence=[head])
