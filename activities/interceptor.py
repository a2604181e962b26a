"""What surrounds every activity: log context, heartbeats, the failure's form, and its row in the ledger."""

import asyncio
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.errors import NotYet, StepError, Unreachable
from activities.heartbeat import beating
from activities.step_rows import DONE, FAILED, Keeper, StepRows
from runbook import names
from runbook.message import LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES, Finding, Order
from runbook.trouble import Cause

log = structlog.stdlib.get_logger()


class StepInterceptor(Interceptor):
    """Give this to the worker, once. For `patience` seconds a row that can't be kept is tried again before the attempt fails.

    For `brief` seconds where the attempt is cancelled: a worker that stops must hand over within ten.
    """

    def __init__(self, keeper: Keeper, patience: float = 15.0, brief: float = 2.0) -> None:
        self._rows = StepRows(keeper, patience, brief)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Inbound(next, self._rows)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, rows: StepRows) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._rows = rows

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        info = activity.info()
        if info.workflow_type not in names.OUR_WORKFLOWS:
            raise ApplicationError(
                f"{info.activity_type} was asked for by {info.workflow_type or 'nobody'}, not by a workflow of ours",
                type=Cause.REFUSED,
                non_retryable=True,
            )
        order: Order = input.args[0]
        with structlog.contextvars.bound_contextvars(
            workflow=info.workflow_id,
            run=info.workflow_run_id,
            step=info.activity_type,
            attempt=info.attempt,
            project=order.ref.project,
            version=order.ref.version,
            **({"host": order.place} if order.place else {}),
        ):
            async with beating():
                return await self._kept(input, order)

    async def _kept(self, input: ExecuteActivityInput, order: Order) -> Any:  # noqa: A002 - Temporal's name
        log.info("step started")
        try:
            finding: Finding = await super().execute_activity(input)
        except NotYet as waiting:
            log.info("step waits", why=str(waiting))
            raise _as_failure(waiting) from None
        except asyncio.CancelledError:
            log.info("step cancelled")
            await self._rows.keep_cancelled(order)
            raise
        except Exception as error:
            log.warning("step failed", why=str(error), exc_info=not isinstance(error, StepError))
            await self._keep(order, FAILED, _said(error), error.evidence if isinstance(error, StepError) else [])
            raise _as_failure(error) from error
        log.info("step done", found=finding.summary)
        await self._keep(order, DONE, finding.summary, finding.evidence)
        return finding.bounded(activity.info().attempt)

    async def _keep(self, order: Order, outcome: str, detail: str, evidence: list[str]) -> None:
        try:
            await self._rows.keep(order, outcome, detail, evidence)
        except Unreachable as away:
            raise _as_failure(away) from away


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {error}"


def _as_failure(error: Exception) -> ApplicationError:
    if not isinstance(error, StepError):
        return ApplicationError(_said(error)[:LONGEST_MESSAGE], type=Cause.BROKEN)
    return ApplicationError(
        str(error)[:LONGEST_MESSAGE],
        {"evidence": [line[:LONGEST_LINE] for line in error.evidence[:MOST_LINES]]},
        type=error.cause,
        non_retryable=not error.retryable,
        next_retry_delay=error.again,
        category=ApplicationErrorCategory.BENIGN if isinstance(error, NotYet) else ApplicationErrorCategory.UNSPECIFIED,
    )
