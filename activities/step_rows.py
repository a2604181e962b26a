"""The ledger's row of an attempt at a step: what it did or refused, or that it was cancelled amid a change."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

import structlog
from temporalio import activity

from activities.errors import Unreachable
from runbook import steps
from runbook.message import LONGEST_MESSAGE, MOST_LINES, Order
from runbook.record import Entry

log = structlog.stdlib.get_logger()

DONE, FAILED, CANCELLED = "done", "failed", "cancelled"

_PAUSE = 0.5
_WHY = {
    "cancel_requested": "its run asked it to end",
    "worker_shutdown": "its worker stopped",
    "timed_out": "it took longer than it may",
    "not_found": "Temporal waits for it no longer: its run was ended, or it was given up as too late",
    "paused": "somebody paused it in Temporal",
    "reset": "somebody reset it in Temporal",
}


class Keeper(Protocol):
    """Where entries are kept; the same event twice is kept once."""

    async def keep(self, order: Order, entries: list[Entry]) -> str: ...


class StepRows:
    """A row that can't be kept is tried again for `patience` seconds; of an attempt that is cancelled for `brief` ones."""

    def __init__(self, keeper: Keeper, patience: float, brief: float) -> None:
        self._keeper, self._patience, self._brief = keeper, patience, brief

    async def keep(self, order: Order, outcome: str, detail: str, evidence: Sequence[str] = ()) -> None:
        """Raises Unreachable when the ledger stays away; CancelledError, the row kept all the same if it can be."""
        entry = _entry(order, outcome, detail, evidence)
        if entry is None:
            return
        try:
            await self._insist(order, entry, self._patience)
        except asyncio.CancelledError:
            await self._briefly(order, entry)
            raise

    async def keep_cancelled(self, order: Order) -> None:
        """What was changed is on record although nobody can tell how far it got. A look that is cut short changed nothing."""
        step = steps.BY_NAME.get(activity.info().activity_type)
        if step is None or not step.changes:
            return
        entry = _entry(order, CANCELLED, f"{_why()}; what it had changed until then is not known to be whole", ())
        if entry is not None:
            await self._briefly(order, entry)

    async def _insist(self, order: Order, entry: Entry, patience: float) -> None:
        """A ledger that is away or locked for a moment must not cost what was done: a step may have few tries."""
        clock = asyncio.get_running_loop().time
        until = clock() + patience
        while True:
            try:
                await self._keeper.keep(order, [entry])
            except Unreachable as away:
                if clock() >= until:
                    raise
                log.warning("the ledger can't be written, trying again", why=str(away))
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _briefly(self, order: Order, entry: Entry) -> None:
        """For an attempt that is cancelled: neither another cancellation nor the ledger changes or holds up its end."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._brief
        keeping = asyncio.create_task(self._insist(order, entry, self._brief))
        while not keeping.done() and (left := until - clock()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({keeping}, timeout=left)
        if not keeping.done():
            # Not waited for: a write that hangs in its thread may still come to its end there, and is welcome.
            keeping.cancel()
            log.warning("the ledger takes too long, a cancelled step may leave no row", row=entry.event)
        keeping.add_done_callback(_tell_failure)


def _entry(order: Order, outcome: str, detail: str, evidence: Sequence[str]) -> Entry | None:
    """None for a step of which no rows are kept."""
    info = activity.info()
    step = steps.BY_NAME.get(info.activity_type)
    if step is None or not step.kept:
        return None
    tried = "" if outcome == DONE else f"/{info.attempt}"
    return Entry(
        event=f"{info.workflow_run_id}/{info.activity_id}/{outcome}{tried}",
        actor="worker",
        action=step.name,
        place=order.place,
        outcome=outcome,
        detail=detail[:LONGEST_MESSAGE],
        evidence=list(evidence[:MOST_LINES]),
        version=order.ref.version,
    )


def _why() -> str:
    details = activity.cancellation_details()
    told = [why for name, why in _WHY.items() if getattr(details, name, False)]
    return ", and ".join(told) or "cancelled, Temporal does not say why"


def _tell_failure(keeping: "asyncio.Task[None]") -> None:
    error = None if keeping.cancelled() else keeping.exception()
    if error is not None:
        log.warning("the ledger can't be written, a cancelled step leaves no row", why=str(error))
