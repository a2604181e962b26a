"""How an activity says that something is wrong: whether trying again can help, what was seen and what to do."""

from collections.abc import Sequence
from datetime import timedelta

from runbook.trouble import Cause


class StepError(Exception):
    """Something is wrong. The message says in one line what was wanted, what was found, where, and what to do.

    `evidence` is a short list of lines that prove it (tail of an output, an answer's body): never a secret.
    """

    retryable = True

    def __init__(
        self, message: str, *, cause: Cause, evidence: Sequence[str] = (), again: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.evidence = list(evidence)
        self.again = again


class Refused(StepError):
    """A fact that will not change by itself: not tried again until a person says so."""

    retryable = False

    def __init__(self, message: str, *, cause: Cause = Cause.REFUSED, evidence: Sequence[str] = ()) -> None:
        super().__init__(message, cause=cause, evidence=evidence)


class Unreachable(StepError):
    """Something outside did not answer, or answered that it is unwell: tried again by the step's policy."""

    def __init__(
        self,
        message: str,
        *,
        cause: Cause = Cause.UNREACHABLE,
        evidence: Sequence[str] = (),
        again: timedelta | None = None,
    ) -> None:
        super().__init__(message, cause=cause, evidence=evidence, again=again)


class NotYet(StepError):
    """Nothing is wrong, it is only not there yet: looked at again after `again`."""

    def __init__(self, message: str, *, again: timedelta) -> None:
        super().__init__(message, cause=Cause.NOT_YET, again=again)
