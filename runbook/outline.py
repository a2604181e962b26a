"""What is to come: the rows of a board before anything happened, in the page's order."""

from typing import Any

from runbook import steps
from runbook.project import Project
from runbook.status import Row
from runbook.step import Step


def row_of(step: Step[Any, Any], host: str = "") -> Row:
    """The row of a step to come."""
    return Row(name=step.name, title=step.title, number=step.number, host=host)


def of_release(project: Project) -> list[Row]:
    """Every step of a release of this project, per host where it is done per host."""
    staging, production = project.staging.hosts, project.production.hosts
    before: list[Step[Any, Any]] = [steps.CHANGELOG, steps.CI_GREEN, steps.VERSION_BUMP, steps.UAT]
    commit: list[Step[Any, Any]] = [steps.VERIFY_COMMIT, steps.TAG, steps.PIPELINE_RUN, steps.PIPELINE_END]
    rehearsal = [steps.REHEARSE] if project.staging.rehearse_rollback else []
    staged: list[Step[Any, Any]] = [steps.STAGE, *rehearsal, steps.SMOKE_TEST]
    swaps = [row_of(step, host) for batch in project.production.batches() for step in _SWAP for host in batch]
    return [
        row_of(steps.PLAN),
        *(row_of(step) for step in before),
        *(row_of(steps.STAGING_HEALTHY, host) for host in staging),
        row_of(steps.CREDENTIALS),
        row_of(steps.ON_CALL),
        *(row_of(step) for step in commit),
        row_of(steps.VERIFY_ARTIFACT, staging[0]),
        row_of(steps.SCAN),
        *(row_of(step, host) for step in staged for host in staging),
        *(row_of(steps.PULL, host) for host in production),
        *([row_of(steps.WINDOW)] if project.gate.has_hours else []),
        *(row_of(steps.WAY_BACK, host) for host in production),
        row_of(steps.DRIFT),
        *swaps,
        row_of(steps.RECORD),
        *(row_of(steps.VERIFY, host) for host in production),
        *([row_of(steps.SOAK)] if project.production.soak.lasts else []),
    ]


def of_rollback(hosts: list[str], *, by_hand: bool) -> list[Row]:
    """Every step of a rollback of these hosts."""
    each = (steps.RETURN if by_hand else steps.PUT_BACK, steps.PUT_BACK_HEALTH)
    planned = [row_of(steps.PLAN_ROLLBACK)] if by_hand else []
    return [*planned, *(row_of(step, host) for host in hosts for step in each), row_of(steps.POSTMORTEM)]


_SWAP = (steps.SWAP, steps.HEALTH)
