"""The whole state of a release or rollback, as the `status` query answers it and the board shows it."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from runbook.message import NO_VERSION, Message
from runbook.way_back import RanBefore

REFUSED: Final = "refused"
"""What people read of a run that was turned away at the door. Its outcome is `aborted`: outcomes are on the wire."""


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NEEDS_PERSON = "needs_person"
    STOPPED = "stopped"


class Outcome(StrEnum):
    RELEASED = "released"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"


class Row(BaseModel):
    """One step, on one host where it has one."""

    name: str
    title: str
    number: str = ""
    host: str = ""
    state: State = State.WAITING
    started: datetime | None = None
    finished: datetime | None = None
    attempts: int = 0
    finding: str = ""
    evidence: list[str] = []
    trouble: str = ""
    hint: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}/{self.host}" if self.host else self.name


class Need(BaseModel):
    """Why a person is needed, and what that person can send. `number` tells it from the run's other needs."""

    number: int = 0
    step: str
    host: str = ""
    cause: str
    what: str
    hint: str = ""
    evidence: list[str] = []
    send: list[str] = []
    since: datetime
    until: datetime | None = None


class GivenDecision(BaseModel):
    """A decision that counts. `by` is claimed; `sender` is the identity that Temporal recorded, `key` who signed it."""

    by: str
    at: datetime
    comment: str = ""
    sender: str = ""
    key: str = ""
    signature: str = ""


class RefusedDecision(BaseModel):
    kind: str
    by: str
    at: datetime
    why: str
    suspicious: bool = False
    sender: str = ""


class GateView(BaseModel):
    """What people see at the gate: exactly what is authorized, by how many, until when, and what to send.

    `payload` is the JSON of a decision, for the UI's box; `how_to` are whole commands. `policy` is the plan's, in words;
    `window` says whether production may be changed now, where the project has hours. Of `refused` decisions the
    newest are `refusals`.
    """

    open: bool = True
    image: str
    digest: str
    commit: str
    plan: str
    needed: int
    approvers: list[str]
    requester_may_approve: bool
    signed: bool = False
    policy: list[str] = []
    window: str = ""
    approvals: list[GivenDecision] = []
    rejection: GivenDecision | None = None
    refusals: list[RefusedDecision] = []
    refused: int = 0
    opened: datetime
    expires: datetime
    changelog: str = ""
    rehearsals: list[str] = []
    payload: str = ""
    how_to: list[str] = []

    @property
    def is_decided(self) -> bool:
        return self.rejection is not None or len(self.approvals) >= self.needed


class Status(BaseModel):
    """A release (or, `kind` = rollback, a rollback) as it stands. `pause`: what it waits for that is no person.

    `calls` counts how often a person was needed so far.
    """

    kind: str = "release"
    project: str
    version: str
    tag: str = ""
    commit: str = ""
    digest: str = ""
    requested_by: str
    reason: str = ""
    workflow_id: str
    run_id: str
    stage: str = "planning"
    outcome: Outcome | None = None
    summary: str = ""
    started: datetime
    finished: datetime | None = None
    needs: list[Need] = []
    calls: int = 0
    rows: list[Row] = []
    gate: GateView | None = None
    pause: str = ""
    messages: list[str] = []
    unheard: int = 0

    @property
    def state(self) -> str:
        """In one word: how it ended, or the stage it is at."""
        turned_away = self.outcome is Outcome.ABORTED and not self.tag and self.summary.startswith(f"{REFUSED}: ")
        return REFUSED if turned_away else self.outcome or self.stage

    @property
    def subject(self) -> str:
        """The project, and the version where there is one."""
        return self.project if self.version == NO_VERSION and not self.tag else f"{self.project} {self.version}"

    @property
    def needs_person(self) -> bool:
        return bool(self.needs) or (self.gate is not None and self.gate.open)


class ReleaseResult(Message):
    """`ran_before`: what a first release found on every host, which one can return to."""

    outcome: Outcome
    project: str
    version: str
    digest: str = ""
    summary: str = ""
    approvers: list[str] = []
    ran_before: RanBefore | None = None


class RollbackResult(Message):
    outcome: Outcome
    project: str
    version: str = ""
    summary: str = ""
    hosts: list[str] = []
    postmortem: str = ""


def timeline(status: Status) -> list[str]:
    """What happened, in its order, a line each, for the postmortem."""
    ended = [(row.finished, row) for row in status.rows if row.finished]
    return [
        f"{finished:%Y-%m-%d %H:%M:%S} UTC {row.title}{' on ' + row.host if row.host else ''}: "
        f"{row.trouble or row.finding or row.state}"[:300]
        for finished, row in sorted(ended, key=lambda end: end[0])
    ]
