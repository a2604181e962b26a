"""How a step's failure looks to the workflow, and how a release ends before its last step."""

from datetime import timedelta
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as OutOfTime

from runbook import steps
from runbook.span import spoken
from runbook.status import Outcome
from runbook.step import Step
from runbook.trouble import Cause, line_for


class Stop(Exception):
    """The release ends here, for a reason that is no bug: rejected, expired or aborted."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why


class GivenUp(Stop):
    """Production was being rolled back, and that was broken off: hosts may run different versions."""


class StepFailed(Exception):
    """A step was refused, or its retry policy is spent: the cause, what was seen, and the runbook's line for it."""

    def __init__(self, step: Step[Any, Any], host: str, cause: str, what: str, evidence: list[str]) -> None:
        super().__init__(what)
        self.step = step
        self.host = host
        self.cause = cause
        self.what = what
        self.evidence = evidence
        line = line_for(cause, step.trouble)
        self.hint = str(line) if line else ""

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host else ""
        return f"{self.step.name}{where}: {self.what}"


def failure_of(step: Step[Any, Any], host: str, error: ActivityError, budget: timedelta | None) -> StepFailed:
    """What Temporal reports of a failed activity, as the step's failure."""
    cause = error.cause
    last = cause
    while isinstance(last, OutOfTime) and last.cause is not None:
        last = last.cause
    if budget is not None and _ran_out(error):
        seen = f" (last: {last.message})" if isinstance(last, ApplicationError) else ""
        ran_out = Cause.NO_RUN if step is steps.PIPELINE_RUN else Cause.TIMED_OUT
        return StepFailed(step, host, ran_out, f"not done within {spoken(budget)}{seen}", _evidence(last))
    if isinstance(last, ApplicationError):
        return StepFailed(step, host, last.type or Cause.BROKEN, last.message, _evidence(last))
    return StepFailed(step, host, Cause.TIMED_OUT, f"no answer from the worker in time: {cause or error}", [])


def _ran_out(error: ActivityError) -> bool:
    """Whether the budget ended it. Where no further attempt fits in, the server reports the last one's failure."""
    if error.retry_state is RetryState.TIMEOUT:
        return True
    return isinstance(error.cause, OutOfTime) and error.cause.type is TimeoutType.SCHEDULE_TO_CLOSE


def _evidence(error: BaseException | None) -> list[str]:
    """At most 20 lines; whatever else came in their place is none, for an exception here would wedge the run."""
    if not isinstance(error, ApplicationError) or not error.details:
        return []
    match error.details[0]:
        case {"evidence": [*lines]}:
            return [str(line)[:300] for line in lines[:20]]
        case _:
            return []
