"""The door: a run is admitted with a plan, or ends at once and in one line, having started nothing."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook import names, outline, steps
    from runbook.message import ReleaseOrder, RollbackOrder
    from runbook.orders import Orders
    from runbook.plan import ReleaseToPlan, RollbackPlan, RollbackToPlan
    from workflows.failure import StepFailed
    from workflows.lane import Lane, read_order, refused, same_lane


async def admit_release(lane: Lane, payload: Any) -> Orders:
    """The release's orders, from a plan that a worker made of the project's file."""
    order = read_order(ReleaseOrder, payload)
    ref, status = lane.journal.ref, lane.journal.status
    same_lane(ref.workflow_id, names.lane(order.project))
    status.reason = order.reason
    try:
        plan = await lane.journal.attempt(steps.PLAN, ReleaseToPlan(ref=ref, order=order))
    except StepFailed as failure:
        raise refused(failure) from failure
    status.tag, status.commit = plan.tag, plan.commit
    lane.journal.searchable = plan.search_attributes
    lane.outline(outline.of_release(plan.project))
    await lane.journal.keep(order.requested_by, "release", "ordered", order.reason)
    return Orders.of(ref, plan)


async def admit_rollback(lane: Lane, payload: Any) -> RollbackPlan:
    """A rollback that somebody started by hand."""
    order = read_order(RollbackOrder, payload)
    ref, status = lane.journal.ref, lane.journal.status
    same_lane(ref.workflow_id, names.lane(order.project))
    status.reason = order.reason
    try:
        plan = await lane.journal.attempt(steps.PLAN_ROLLBACK, RollbackToPlan(ref=ref, order=order))
    except StepFailed as failure:
        raise refused(failure) from failure
    status.version, status.tag, status.digest = plan.image.version, plan.image.tag, plan.image.digest
    lane.journal.searchable = plan.search_attributes
    lane.outline(outline.of_rollback(plan.project.production.hosts, by_hand=True))
    await lane.journal.keep(order.requested_by, "rollback", "ordered", order.reason, digest=plan.image.digest)
    return plan
