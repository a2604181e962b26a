"""Every name that an outsider may rely on, once."""

import shlex
from typing import Final

TASK_QUEUE: Final = "release-runbook"

RELEASE_WORKFLOW: Final = "ReleaseWorkflow"
ROLLBACK_WORKFLOW: Final = "RollbackWorkflow"
DRIFT_WORKFLOW: Final = "DriftWorkflow"
LANE_WORKFLOWS: Final = frozenset({RELEASE_WORKFLOW, ROLLBACK_WORKFLOW})
OUR_WORKFLOWS: Final = LANE_WORKFLOWS | {DRIFT_WORKFLOW}

APPROVE: Final = "approve"
REJECT: Final = "reject"
RETRY: Final = "retry"
ABORT: Final = "abort"
ROLL_BACK: Final = "roll_back"
REMIND: Final = "remind"
SIGNALS: Final = (APPROVE, REJECT, RETRY, ABORT, ROLL_BACK, REMIND)
DECIDE: Final = "decide"

MEMO_START: Final = "start"

STATUS: Final = "status"
BOARD: Final = "board"

SEARCH_PROJECT: Final = "RunbookProject"
SEARCH_VERSION: Final = "RunbookVersion"
SEARCH_STAGE: Final = "RunbookStage"
SEARCH_OUTCOME: Final = "RunbookOutcome"
SEARCH_NEEDS_PERSON: Final = "RunbookNeedsPerson"
AT_GATE: Final = "gate"
"""What `RunbookStage` says while the gate waits."""

LABEL_PROJECT: Final = "runbook.project"
LABEL_VERSION: Final = "runbook.version"
LABEL_DIGEST: Final = "runbook.digest"
LABEL_RELEASE: Final = "runbook.release"
LABEL_EPOCH: Final = "runbook.epoch"

_ROLLBACK: Final = "-rollback"


def lane(project: str) -> str:
    """The workflow ID under which everything that changes this project's production runs, one at a time."""
    return f"release-{project}"


def rollback_lane(project: str) -> str:
    """The workflow ID of a rollback that a release started as its child."""
    return lane(project) + _ROLLBACK


def lane_fault(project: str) -> str | None:
    """Why no project can have this name: its lane would be that of another one's rollbacks, which it would hold up."""
    other = project.removesuffix(_ROLLBACK)
    if other == project:
        return None
    return f"no project can be named {project!r}, for a rollback of {other} runs as {rollback_lane(other)}: rename its file"


def drift_check(project: str) -> str:
    """The workflow ID of a drift check, and its schedule's: beside the lane, so that no release waits for one."""
    return f"drift-{project}"


def starter(*words: str) -> str:
    """The operator's command line with these words, to be pasted in a checkout after `make setup`, whatever the shell has."""
    return shlex.join([".venv/bin/python", "starter.py", *words])
