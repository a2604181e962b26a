"""What the related issue says of drift: one comment a project, which always tells how it is now."""

from runbook.board import cell
from runbook.drift_check import DriftToComment, StandingDrift
from runbook.identifier import tag_of


def marker(project: str) -> str:
    return f"release-runbook drift of {project}"


def comment_body(order: DriftToComment) -> str:
    project, left = order.ref.project, f"what {tag_of(order.ref.version)} left, recorded {order.recorded}"
    if not order.standing:
        return f"No more drift of {project}: every host is {left}."
    head = f"Drift of {project}: production is no longer {left}. Seen by `{order.ref.workflow_id}`."
    return "\n".join([head, "", "| host | since | what |", "| --- | --- | --- |", *map(_row, order.standing)])


def _row(drift: StandingDrift) -> str:
    return f"| {cell(drift.host)} | {cell(drift.since)} | {cell(drift.what)} |"
