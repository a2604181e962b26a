"""What Temporal reports of a failed activity, as people are told it: the cause, what was seen, the runbook's line."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as OutOfTime

from runbook import steps
from runbook.trouble import Cause
from workflows.failure import StepFailed, failure_of

MINUTE = timedelta(minutes=1)


def reported(cause: BaseException | None, state: RetryState = RetryState.MAXIMUM_ATTEMPTS_REACHED) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="tag",
        activity_id="1",
        retry_state=state,
    )
    error.__cause__ = cause
    return error


def timed_out(kind: TimeoutType, last: BaseException | None = None) -> OutOfTime:
    error = OutOfTime("activity timeout", type=kind, last_heartbeat_details=[])
    error.__cause__ = last
    return error


def said(message: str, cause: str = "Refused", *details: Any) -> ApplicationError:
    return ApplicationError(message, *details, type=cause)


def test_a_refusal_is_told_with_its_cause_its_evidence_and_the_runbooks_line() -> None:
    error = reported(said("remote: protected", "PushRejected", {"evidence": ["! [rejected]"]}))
    failure = failure_of(steps.TAG, "", error, None)
    assert (failure.cause, failure.what, failure.evidence) == ("PushRejected", "remote: protected", ["! [rejected]"])
    assert failure.hint.startswith("Tag push rejected: ")
    assert str(failure) == "tag: remote: protected"


def test_a_host_is_named() -> None:
    failure = failure_of(steps.SWAP, "production-2", reported(said("no route")), None)
    assert str(failure) == "swap on production-2: no route"


@pytest.mark.parametrize(
    "error",
    [
        reported(timed_out(TimeoutType.SCHEDULE_TO_CLOSE, said("still running", "NotYet")), RetryState.TIMEOUT),
        reported(said("still running", "NotYet"), RetryState.TIMEOUT),
    ],
    ids=["the server's timeout", "the last failure where no further attempt fits"],
)
def test_a_spent_budget_is_told_with_what_was_seen_last(error: ActivityError) -> None:
    for step, cause in ((steps.PIPELINE_RUN, Cause.NO_RUN), (steps.PIPELINE_END, Cause.TIMED_OUT)):
        failure = failure_of(step, "", error, MINUTE)
        assert (failure.cause, failure.what) == (cause, "not done within 1 min (last: still running)")


def test_a_worker_that_never_answered_is_told_as_that() -> None:
    failure = failure_of(steps.UAT, "", reported(timed_out(TimeoutType.HEARTBEAT), RetryState.TIMEOUT), None)
    assert failure.cause is Cause.TIMED_OUT
    assert failure.what.startswith("no answer from the worker in time: ")


def test_what_an_attempt_said_before_the_worker_died_is_told() -> None:
    error = reported(timed_out(TimeoutType.START_TO_CLOSE, said("no space left", "Unreachable")))
    failure = failure_of(steps.PULL, "production-1", error, None)
    assert (failure.cause, failure.what) == ("Unreachable", "no space left")


def test_a_bug_of_an_activity_is_told_as_broken() -> None:
    failure = failure_of(steps.UAT, "", reported(ApplicationError("KeyError: 'x'")), None)
    assert (failure.cause, failure.what) == (Cause.BROKEN, "KeyError: 'x'")


@pytest.mark.parametrize("details", [(), ("text",), ({},), ({"evidence": []},), ([1],), (None,)])
def test_evidence_of_another_shape_is_none(details: tuple[Any, ...]) -> None:
    assert failure_of(steps.UAT, "", reported(said("x", "Refused", *details)), None).evidence == []


@pytest.mark.parametrize("evidence", [None, "one line", 7, [1, None, {"a": 1}]])
def test_evidence_of_a_wrong_type_breaks_nothing(evidence: Any) -> None:
    failure = failure_of(steps.UAT, "", reported(said("x", "Refused", {"evidence": evidence})), None)
    assert all(isinstance(line, str) for line in failure.evidence)


def test_evidence_is_bounded() -> None:
    lines = ["x" * 1000] * 100
    failure = failure_of(steps.UAT, "", reported(said("x", "Refused", {"evidence": lines})), None)
    assert failure.evidence == ["x" * 300] * 20


def test_a_step_without_a_line_has_no_hint() -> None:
    assert StepFailed(steps.RECORD, "", Cause.UNREACHABLE, "no answer", []).hint == ""
