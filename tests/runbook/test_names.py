"""Names on the wire are for ever: histories, ledgers, labels and people's scripts have them. Add, never change."""

from typing import Any, get_args

import pytest

from runbook import names, steps
from runbook.decision import EXAMPLES, Instruction, Judgement
from runbook.drift_check import ACTION, FOUND, GONE, UNTOLD, DriftVerdict
from runbook.host_drift import DriftKind
from runbook.status import Outcome, State
from runbook.step import Effect, Step
from runbook.trouble import Cause

STEPS = {
    "plan": Effect.LOOKS,
    "plan-rollback": Effect.LOOKS,
    "ci-green": Effect.LOOKS,
    "changelog": Effect.LOOKS,
    "version-bump": Effect.LOOKS,
    "uat": Effect.LOOKS,
    "staging-healthy": Effect.LOOKS,
    "registry-credentials": Effect.LOOKS,
    "on-call-notified": Effect.ADDS,
    "verify-commit": Effect.LOOKS,
    "tag": Effect.ADDS,
    "pipeline-run": Effect.LOOKS,
    "pipeline": Effect.LOOKS,
    "pipeline-rerun": Effect.ADDS,
    "verify-artifact": Effect.LOOKS,
    "scan": Effect.LOOKS,
    "stage": Effect.REPLACES,
    "rehearse-rollback": Effect.REPLACES,
    "smoke-test": Effect.LOOKS,
    "put-staging-back": Effect.REPLACES,
    "verify-signature": Effect.LOOKS,
    "identify-sender": Effect.LOOKS,
    "pull": Effect.ADDS,
    "window": Effect.LOOKS,
    "drift": Effect.LOOKS,
    "way-back": Effect.LOOKS,
    "swap": Effect.REPLACES,
    "health": Effect.LOOKS,
    "record": Effect.ADDS,
    "verification": Effect.LOOKS,
    "soak": Effect.LOOKS,
    "container-logs": Effect.LOOKS,
    "put-back": Effect.REPLACES,
    "return": Effect.REPLACES,
    "put-back-health": Effect.LOOKS,
    "postmortem": Effect.ADDS,
    "plan-drift-check": Effect.LOOKS,
    "inspect-host": Effect.LOOKS,
    "comment-drift": Effect.ADDS,
    "record-host": Effect.LOOKS,
    "notify": Effect.ADDS,
    "remind": Effect.ADDS,
    "ledger": Effect.ADDS,
}
"""Each step's name, and what it does to the world: by that a cancellation waits for it or cuts it short."""


def test_the_names_of_the_steps_are_frozen() -> None:
    assert {step.name: step.effect for step in steps.ALL} == STEPS
    assert len(steps.ALL) == len(STEPS), "two steps have one name"


def test_the_names_of_workflows_messages_and_queries_are_frozen() -> None:
    assert {"ReleaseWorkflow", "RollbackWorkflow"} == names.LANE_WORKFLOWS
    assert {"ReleaseWorkflow", "RollbackWorkflow", "DriftWorkflow"} == names.OUR_WORKFLOWS
    assert names.TASK_QUEUE == "release-runbook"
    assert names.SIGNALS == ("approve", "reject", "retry", "abort", "roll_back", "remind")
    assert (names.DECIDE, names.STATUS, names.BOARD) == ("decide", "status", "board")
    assert names.MEMO_START == "start"
    assert names.lane("shop") == "release-shop"
    assert names.rollback_lane("shop") == "release-shop-rollback"
    assert names.drift_check("shop") == "drift-shop"


def test_the_search_attributes_and_labels_are_frozen() -> None:
    told = {value for name, value in vars(names).items() if name.startswith("SEARCH_")}
    assert told == {
        "RunbookProject",
        "RunbookVersion",
        "RunbookStage",
        "RunbookOutcome",
        "RunbookNeedsPerson",
    }
    labels = {value for name, value in vars(names).items() if name.startswith("LABEL_")}
    wanted = {"runbook.project", "runbook.version", "runbook.digest", "runbook.release", "runbook.epoch"}
    assert wanted <= labels


def test_the_words_of_outcomes_and_states_are_frozen() -> None:
    assert [str(outcome) for outcome in Outcome] == ["released", "rejected", "expired", "aborted", "rolled_back"]
    assert [str(state) for state in State] == ["waiting", "running", "done", "failed", "needs_person", "stopped"]


def test_the_words_of_drift_are_frozen() -> None:
    """Drift that people were told of is known again by the key that these make."""
    kinds = [
        "no-container",
        "several-containers",
        "not-up",
        "other-digest",
        "replaced",
        "foreign",
        "restarted",
        "env-file",
    ]
    assert [str(kind) for kind in DriftKind] == kinds
    assert [str(verdict) for verdict in DriftVerdict] == ["as_recorded", "drifted", "unknown", "under_way"]
    assert (ACTION, FOUND, UNTOLD, GONE) == ("host-drift", "found", "untold", "gone")


def test_the_failure_types_are_frozen() -> None:
    frozen = {
        "Refused",
        "Unreachable",
        "NotYet",
        "PushRejected",
        "TagOnAnotherCommit",
        "NoRunForTag",
        "PipelineFailed",
        "PipelineNotFinished",
        "DigestMismatch",
        "DigestUnknown",
        "CommandFailed",
        "SmokeTestFailed",
        "ContainerExited",
        "Unhealthy",
        "WrongVersion",
        "Fenced",
        "CredentialsRefused",
        "TimedOut",
        "Broken",
    }
    assert frozen <= {str(cause) for cause in Cause}


def test_every_signal_has_an_example_and_a_model() -> None:
    assert set(EXAMPLES) == {*names.SIGNALS, names.DECIDE}
    kinds = {kind for model in (Judgement, Instruction) for kind in get_args(model.model_fields["kind"].annotation)}
    assert kinds == set(names.SIGNALS)


@pytest.mark.parametrize("step", steps.ALL, ids=lambda step: step.name)
def test_a_step_is_declared_so_that_it_can_be_performed(step: Step[Any, Any]) -> None:
    assert step.title
    assert step.limit.total_seconds() > 0
    assert 0 < step.heartbeat.total_seconds() <= 30, "a killed worker is noticed within seconds"
    assert step.retry.maximum_attempts != 1, "a worker that is replaced would fail the step"
    assert step.number or not step.on_board
