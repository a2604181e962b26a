"""How a run ended, from what Temporal keeps of it: no worker is needed to know."""

import contextlib
import json
from dataclasses import dataclass, replace
from typing import Any, cast

from temporalio.client import (
    WorkflowContinuedAsNewError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError, FailureError, TerminatedError

from console.exit_status import ExitStatus, of_outcome
from console.lane import Lane
from console.output import plain
from runbook import names
from runbook.status import REFUSED

_ORDER_REFUSED = "OrderRefused"
_LONGEST = 60


@dataclass(frozen=True)
class Ending:
    """`outcome` is the run's own word, or how Temporal closed it; `summary` one line.

    `ran_before` and `ran_digest` are what a first release found on every host.
    """

    outcome: str
    summary: str
    status: ExitStatus
    version: str = ""
    digest: str = ""
    approvers: str = ""
    ran_before: str = ""
    ran_digest: str = ""

    def line(self, project: str) -> str:
        """For people."""
        what = f"{project} {self.version}".strip()
        return f"{what}: {self.outcome.replace('_', ' ')}" + (f": {self.summary}" if self.summary else "")


async def ending(lane: Lane, found: WorkflowExecutionDescription) -> Ending | None:
    """None while the run goes on."""
    if found.status is WorkflowExecutionStatus.RUNNING:
        return None
    try:
        result: Any = plain(await lane.handle(found.run_id).result(follow_runs=False))
    except WorkflowFailureError as failure:
        ended = _failed(found, failure)
        return replace(ended, version=await _asked_for(lane, found.run_id)) if ended.outcome == REFUSED else ended
    except WorkflowContinuedAsNewError:
        # As Temporal ends a failed run that a schedule of its own starts again.
        return Ending("failed", "it failed, and Temporal started it again: see the newer run", ExitStatus.FAILED)
    told = _table(result)
    ran = _table(told.get("ran_before"))
    outcome = told.get("outcome", "completed")
    return Ending(
        outcome=outcome,
        summary=told.get("summary", ""),
        status=of_outcome(outcome, rollback=found.workflow_type == names.ROLLBACK_WORKFLOW),
        version=told.get("version", ""),
        digest=told.get("digest", ""),
        approvers=", ".join(told.get("approvers", [])),
        ran_before=ran.get("version", ""),
        ran_digest=ran.get("digest", ""),
    )


def _table(value: Any) -> dict[str, str]:
    return cast("dict[str, str]", value if isinstance(value, dict) else {})


def _failed(found: WorkflowExecutionDescription, failure: WorkflowFailureError) -> Ending:
    cause = failure.cause
    if found.status is WorkflowExecutionStatus.CANCELED:
        return Ending("cancelled", "cancelled through Temporal", ExitStatus.ABORTED)
    if isinstance(cause, TerminatedError):
        why = plain(_said(cause)) or "without a reason"
        return Ending("terminated", f"{why}; the next run looks at what it left", ExitStatus.FAILED)
    if isinstance(cause, ApplicationError) and cause.type == _ORDER_REFUSED:
        return Ending(REFUSED, plain(_said(cause)), ExitStatus.REFUSED)
    return Ending("failed", plain(_deepest(cause)), ExitStatus.FAILED)


async def _asked_for(lane: Lane, run_id: str) -> str:
    """The version in the order, for a run that was turned away before it was about one; empty where there is none."""
    async for event in lane.handle(run_id).fetch_history_events(page_size=1):
        for payload in event.workflow_execution_started_event_attributes.input.payloads:
            with contextlib.suppress(ValueError):
                given: Any = plain(json.loads(payload.data))
                order = cast("dict[str, Any]", given if isinstance(given, dict) else {})
                return str(order.get("version") or order.get("to_version") or "")[:_LONGEST]
        break
    return ""


def _deepest(error: BaseException | None) -> str:
    """The message of the innermost failure, which says what was wrong."""
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return _said(error)


def _said(error: BaseException | None) -> str:
    text = error.message if isinstance(error, FailureError) else str(error)
    return " ".join(text.split())
