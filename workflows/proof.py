"""Whether an approval's signature proves who gave it; asked of the worker, and not without end."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from runbook import names, steps
from runbook.approval import SignatureToVerify, lines_to_sign, text_of
from runbook.continuation import GateMemory
from runbook.decision import Judgement, Verdict
from runbook.orders import Orders
from runbook.status import GateView, GivenDecision, Status
from workflows.failure import failure_of
from workflows.journal import Journal
from workflows.performing import perform

_FREE = 50
_EVERY = timedelta(seconds=12)


@dataclass(frozen=True)
class Proof:
    """`refusal` None: it is proved, by `key`."""

    refusal: Verdict | None
    key: str = ""


class Proofs:
    """The first 50 wrong signatures are looked at as they come; after them one every 12 s, so that history stays small."""

    def __init__(self, journal: Journal, memory: GateMemory) -> None:
        self._journal = journal
        self._memory = memory

    async def of(self, orders: Orders, view: GateView, judgement: Judgement) -> Proof:
        now, memory = workflow.now(), self._memory
        if memory.wrong >= _FREE and memory.looked is not None and now - memory.looked < _EVERY:
            return Proof(
                Verdict(accepted=False, why="too many wrong signatures came just now: send it again in a minute")
            )
        memory.looked = now
        order = signature_order(orders, self._journal.status, view, judgement)
        try:
            found = await perform(steps.VERIFY_SIGNATURE, order)
        except ActivityError as error:
            what = failure_of(steps.VERIFY_SIGNATURE, "", error, None).what
            why = f"the signature could not be checked, send it again when that is mended: {what}"
            return Proof(Verdict(accepted=False, why=why))
        if found.ok:
            return Proof(None, found.key)
        memory.wrong += 1
        return Proof(Verdict(accepted=False, why=found.why, suspicious=True))


def signature_order(
    orders: Orders, status: Status, view: GateView, given: Judgement | GivenDecision
) -> SignatureToVerify:
    """Did that person sign exactly what this gate shows, with a key that is theirs now?"""
    kind = given.kind if isinstance(given, Judgement) else names.APPROVE
    text = text_of(lines_to_sign(status, view, kind, given.by))
    return orders.signature_to_verify(given.by, text, given.signature or "", workflow.now())
