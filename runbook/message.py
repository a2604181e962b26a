"""What every order to a step and every finding of one has in common."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from runbook.identifier import Commit, Line, Person, ProjectName, Version

MOST_LINES, LONGEST_LINE = 20, 300
"""Of evidence, wherever it came from."""
LONGEST_MESSAGE = 2000
"""Of a failure."""
NO_VERSION: Final = "0.0.0"
"""Of a run that no version was named for, yet: a rollback by hand learns it from its plan."""


class Message(BaseModel):
    """A message in history: frozen, and read leniently so that a history of last year still decodes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ReleaseRef(Message):
    """Which release a step belongs to: written on logs, ledger rows and container labels.

    `epoch` grows from run to run in one lane (milliseconds since 1970 at the start of the run, by Temporal's clock);
    `release` is the run's id.
    """

    project: ProjectName
    version: Version
    workflow_id: str
    release: str
    epoch: int
    requested_by: Person


class Order(Message):
    """What a step is asked to do."""

    ref: ReleaseRef

    @property
    def place(self) -> str:
        """The host it is about, or an empty text."""
        return str(getattr(self, "host", ""))


class Finding(Message):
    """What a step found: `summary` is its one line on the board, `evidence` what proves it, at most some lines."""

    summary: str = ""
    evidence: list[str] = []
    attempt: int = 1

    def bounded(self, attempt: int) -> Self:
        """The same from this attempt, small enough for history, for the board and for what a release takes along."""
        return self.model_copy(
            update={
                "attempt": attempt,
                "summary": self.summary[:LONGEST_LINE],
                "evidence": [line[:LONGEST_LINE] for line in self.evidence[:MOST_LINES]],
            }
        )


class ReleaseOrder(Message):
    """A release as somebody orders it: identity only, no host, command or address."""

    project: ProjectName
    version: Version
    commit: Commit | None = None
    requested_by: Person
    reason: Line = ""


class RollbackOrder(Message):
    """A rollback as somebody orders it by hand; without `to_version` it goes to the last good version."""

    project: ProjectName
    to_version: Version | None = None
    requested_by: Person
    reason: Line = Field(min_length=1)
