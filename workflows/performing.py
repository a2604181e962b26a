"""One step as one Temporal activity, by what the step declares."""

import asyncio
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from runbook.artifact import ImageToScan
from runbook.command import CommandToRun
from runbook.message import Finding, Order
from runbook.service import HealthToVerify, HostToPutBack, RollbackToRehearse, SoakToWatch, StagingToPutBack, SwapToMake
from runbook.step import FETCH_WITHIN, Step
from workflows.failure import failure_of

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)

_SLACK = timedelta(minutes=10)


async def perform(
    step: Step[OrderT, FindingT], order: OrderT, *, budget: timedelta | None = None, every: timedelta | None = None
) -> FindingT:
    """Perform the step by its policy; `every` looks at this pace instead. Raises ActivityError or CancelledError."""
    retry = step.retry
    if every is not None:
        retry = RetryPolicy(initial_interval=every, backoff_coefficient=1.0, maximum_interval=every)
    kind = workflow.ActivityCancellationType
    finding: FindingT = await workflow.execute_activity(
        step.name,
        order,
        result_type=step.finding,
        start_to_close_timeout=limit_of(step, order),
        schedule_to_close_timeout=budget or step.budget,
        heartbeat_timeout=step.heartbeat,
        retry_policy=retry,
        cancellation_type=kind.WAIT_CANCELLATION_COMPLETED if step.changes else kind.TRY_CANCEL,
        summary=f"{step.title}{' on ' + order.place if order.place else ''}",
    )
    return finding


async def attempt(step: Step[OrderT, FindingT], order: OrderT) -> FindingT:
    """The same for a run without a journal. Raises StepFailed or CancelledError."""
    try:
        return await perform(step, order)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise failure_of(step, order.place, error, step.budget) from error


def limit_of(step: Step[OrderT, FindingT], order: Order) -> timedelta:
    """The step's own limit, or what the project's file allows for it when that is longer."""
    allowed = _allowed(order)
    return max(step.limit, allowed + _SLACK) if allowed else step.limit


def _allowed(order: Order) -> timedelta | None:
    match order:
        # Both run in a checkout, for which the repository may have to be fetched first.
        case CommandToRun():
            return FETCH_WITHIN + order.within
        case ImageToScan():
            return FETCH_WITHIN + order.artifact.scan_within
        case SwapToMake() | HostToPutBack() | StagingToPutBack() | RollbackToRehearse():
            return order.environment.stop_timeout
        case HealthToVerify():
            return order.environment.health_deadline
        case SoakToWatch():
            return order.soak.lasts
        case _:
            return None
