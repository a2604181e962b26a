"""What the exit status of `starter.py` says."""

from enum import IntEnum

from runbook.status import Outcome


class ExitStatus(IntEnum):
    """A number a script can branch on; `meaning` is its line in `--help`."""

    GOOD = 0
    FAILED = 1
    REFUSED = 2
    REJECTED = 3
    EXPIRED = 4
    ABORTED = 5
    ROLLED_BACK = 6
    GOING_ON = 7
    DRIFTED = 8
    UNKNOWN = 9
    UNWRITTEN = 74
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitStatus.GOOD: "released; a rollback that was asked for is done; or the command did what it says",
    ExitStatus.FAILED: "the run failed or was terminated: look at it in Temporal",
    ExitStatus.REFUSED: "bad input, refused, or Temporal unreachable: nothing was changed",
    ExitStatus.REJECTED: "rejected at the gate",
    ExitStatus.EXPIRED: "the gate expired",
    ExitStatus.ABORTED: "aborted or cancelled",
    ExitStatus.ROLLED_BACK: "the release was rolled back",
    ExitStatus.GOING_ON: "still going on, waiting for a worker, or it is not known whether what was sent was heard",
    ExitStatus.DRIFTED: "drift: a production host is no longer what the last release left",
    ExitStatus.UNKNOWN: "no drift seen, but not every production host could be looked at",
    ExitStatus.UNWRITTEN: "the output can't be written, as on a full disk: what was started goes on",
    ExitStatus.INTERRUPTED: "interrupted at the keyboard: what was started goes on",
}
_OUTCOMES = {
    Outcome.RELEASED: ExitStatus.GOOD,
    Outcome.REJECTED: ExitStatus.REJECTED,
    Outcome.EXPIRED: ExitStatus.EXPIRED,
    Outcome.ABORTED: ExitStatus.ABORTED,
    Outcome.ROLLED_BACK: ExitStatus.ROLLED_BACK,
}


def of_outcome(outcome: str, *, rollback: bool) -> ExitStatus:
    """`rollback`: the run was a rollback by hand, whose good end is `rolled_back`."""
    if rollback and outcome == Outcome.ROLLED_BACK:
        return ExitStatus.GOOD
    return _OUTCOMES[Outcome(outcome)] if outcome in Outcome.__members__.values() else ExitStatus.FAILED


def table() -> str:
    """For `--help`: one line a status."""
    return "\n\n".join(f"{status.value}: {status.meaning}" for status in ExitStatus)
