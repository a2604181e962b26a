"""The door: a run is admitted with a plan, or ends at once and in one line, having started nothing."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow

from runbook import names, outline, steps
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.orders import Orders
from runbook.plan import Plan, ReleaseToPlan, RollbackPlan, RollbackToPlan
from runbook.record import FailedRelease
from workflows.failure import StepFailed
from workflows.lane import Lane
from workflows.order import read_order, refused, same_lane


async def admit_release(lane: Lane, payloads: Sequence[Any]) -> Orders:
    """The release's orders, from a plan that a worker made of the project's file."""
    order = read_order(ReleaseOrder, payloads)
    ref, status = lane.journal.ref, lane.journal.status
    same_lane(ref.workflow_id, names.lane(order.project))
    status.reason = order.reason
    try:
        plan = await lane.journal.attempt(steps.PLAN, ReleaseToPlan(ref=ref, order=order))
    except StepFailed as failure:
        raise refused(failure.what) from failure
    _passable(plan, order)
    status.tag, status.commit = plan.tag, plan.commit
    lane.journal.searchable = plan.search_attributes
    lane.outline(outline.of_release(plan.project))
    lane.journal.ledger.say(order.requested_by, "release", "ordered", order.reason)
    return Orders.of(ref, plan)


async def admit_rollback(lane: Lane, payloads: Sequence[Any]) -> RollbackPlan:
    """A rollback that somebody started by hand."""
    order = read_order(RollbackOrder, payloads)
    ref, status = lane.journal.ref, lane.journal.status
    same_lane(ref.workflow_id, names.lane(order.project))
    status.reason = order.reason
    try:
        plan = await lane.journal.attempt(steps.PLAN_ROLLBACK, RollbackToPlan(ref=ref, order=order))
    except StepFailed as failure:
        raise refused(failure.what) from failure
    lane.journal.is_about(plan.image.version)
    status.tag, status.digest = plan.image.tag, plan.image.digest
    lane.journal.searchable = plan.search_attributes
    lane.outline(outline.of_rollback(plan.project.production.hosts, by_hand=True))
    lane.journal.ledger.say(order.requested_by, "rollback", "ordered", order.reason, digest=plan.image.digest)
    return plan


def admit_failed(lane: Lane, payloads: Sequence[Any]) -> FailedRelease:
    """A rollback that a release started: only its own, under the child's ID of its lane."""
    failed = read_order(FailedRelease, payloads, strict=False)
    ref, status = lane.journal.ref, lane.journal.status
    parent = workflow.info().parent
    same_lane(parent.workflow_id if parent else "", names.lane(failed.failed.project))
    same_lane(ref.workflow_id, names.rollback_lane(failed.failed.project))
    status.reason = failed.reason[:300]
    lane.journal.searchable = failed.plan.search_attributes
    lane.outline(outline.of_rollback([way_back.host for way_back in failed.ways_back], by_hand=False))
    lane.journal.ledger.say(failed.asked_by or "worker", "rollback", "ordered", failed.reason)
    return failed


def _passable(plan: Plan, order: ReleaseOrder) -> None:
    """Refuse at once what the gate could never let through."""
    gate = plan.project.gate
    able = {name for name in gate.approvers if name != order.requested_by or gate.requester_may_approve}
    if len(able) < gate.approvals:
        raise refused(
            f"the gate needs {gate.approvals} approvals, not {order.requested_by}'s own, and only"
            f" {', '.join(sorted(able)) or 'nobody'} could give one: let somebody else order the release,"
            " or name more approvers in the project's file"
        )
