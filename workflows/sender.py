"""Who really sent a message: the name in it is only claimed, Temporal's history knows more."""

from dataclasses import dataclass
from typing import Literal

from temporalio import workflow

from runbook import steps
from runbook.sender import IdentifiedSender, SenderToIdentify
from workflows.journal import Journal


@dataclass(frozen=True)
class Received:
    """How a message came: as the `number`th signal of its name, or as the update with this id."""

    message: Literal["signal", "update"]
    name: str
    number: int = 0
    update_id: str = ""


async def sender_of(journal: Journal, received: Received) -> IdentifiedSender | None:
    """None, and a note on the board, where the history can't be read."""
    order = SenderToIdentify(
        ref=journal.ref,
        run=workflow.info().run_id,
        message=received.message,
        name=received.name,
        number=received.number,
        update_id=received.update_id,
    )
    return await journal.try_to(steps.IDENTIFY_SENDER, order)
