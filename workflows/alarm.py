"""Tells on-call of decisions that look like somebody's who may not decide, without being made to cry all day."""

from datetime import timedelta

from temporalio import workflow

from runbook import steps
from runbook.continuation import GateMemory
from runbook.orders import Orders
from runbook.status import RefusedDecision
from workflows.journal import Journal
from workflows.sender import Received, sender_of

_QUIET = timedelta(minutes=10)
_LOUDEST = 20


class Alarm:
    """The first is told at once; then at most one every ten minutes, with how many came meanwhile, and 20 in all."""

    def __init__(self, journal: Journal, memory: GateMemory) -> None:
        self._journal = journal
        self._memory = memory

    def ring(self, orders: Orders, refusal: RefusedDecision, received: Received) -> None:
        now, memory = workflow.now(), self._memory
        if memory.alarms >= _LOUDEST or (memory.alarmed is not None and now - memory.alarmed < _QUIET):
            memory.silenced += 1
            return
        memory.alarmed = now
        memory.alarms += 1
        meanwhile, memory.silenced = memory.silenced, 0
        self._journal.soon(self._tell(orders, refusal, received, f"suspicious/{memory.alarms}", meanwhile))

    async def _tell(
        self, orders: Orders, refusal: RefusedDecision, received: Received, key: str, meanwhile: int
    ) -> None:
        sender = await sender_of(self._journal, received)
        refusal.sender = sender.identity if sender else ""
        self._journal.changed()
        ref = orders.ref
        lines = [
            f"{refusal.kind} in the name of {refusal.by} was refused: {refusal.why}",
            f"sent by {refusal.sender or 'a client that nobody can tell now'}, as Temporal recorded it",
            *([f"and {meanwhile} more since the last notice"] if meanwhile else []),
            f"The gate of {ref.workflow_id} stands as it stood.",
        ]
        title = f"{ref.project} {ref.version}: a suspicious decision was refused"
        await self._journal.try_to(steps.NOTIFY, orders.notice("on_call", key, title, "\n".join(lines)))
