"""What a release takes along when its gate waits so long that it goes on in a new run, with a fresh history."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel

from runbook.image import Image
from runbook.message import Message, ReleaseRef
from runbook.orders import Orders
from runbook.plan import Plan
from runbook.status import Status


@dataclass(frozen=True)
class Candidate:
    """What is ready for production: `rehearsals` tells, a line a host, how its rollback went on staging."""

    image: Image
    changelog: str
    rehearsals: list[str] = field(default_factory=list[str])


class GateMemory(BaseModel):
    """What the gate knows beside what it shows: when and how often people were told, and what was wrong so far.

    `reminders` counts the reminders that came by themselves, `asked` is when somebody last asked for one. `silenced`
    are the suspicious decisions of which on-call was not told. `wrong` counts signatures, `looked` is when the last
    one was looked at.
    """

    reminded: datetime | None = None
    reminders: int = 0
    asked: datetime | None = None
    alarms: int = 0
    alarmed: datetime | None = None
    silenced: int = 0
    wrong: int = 0
    looked: datetime | None = None


class Continuation(Message):
    """A release at its gate, whole. `entries` and `refusals` count the ledger's rows so far.

    It stays the same release: `ref` names the first run, which containers, ledger rows and signatures are bound to.
    """

    ref: ReleaseRef
    plan: Plan
    status: Status
    memory: GateMemory
    entries: int
    refusals: int

    @property
    def orders(self) -> Orders:
        return Orders.of(self.ref, self.plan)

    @property
    def candidate(self) -> Candidate:
        """What the gate shows."""
        assert self.status.gate is not None, "only a gate goes on in a new run"  # noqa: S101 - a bug, not an input
        image = self.orders.image(self.plan.version, self.status.gate.digest)
        return Candidate(image, self.status.gate.changelog, self.status.gate.rehearsals)
