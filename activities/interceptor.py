"""What surrounds every activity: log context, heartbeats, the failure's form, and its row in the ledger."""

import asyncio
from typing import Any, Protocol

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.errors import NotYet, StepError, Unreachable
from activities.heartbeat import beating
from runbook import names, steps
from runbook.message import LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES, Finding, Order
from runbook.record import Entry
from runbook.trouble import Cause

log = structlog.stdlib.get_logger()

_PAUSE = 0.5


class Keeper(Protocol):
    """Where entries are kept; the same event twice is kept once."""

    async def keep(self, order: Order, entries: list[Entry]) -> str: ...


class StepInterceptor(Interceptor):
    """Give this to the worker, once. For `patience` seconds a row that can't be kept is tried again before the attempt fails."""

    def __init__(self, keeper: Keeper, patience: float = 15.0) -> None:
        self._keeper, self._patience = keeper, patience

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Inbound(next, self._keeper, self._patience)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, keeper: Keeper, patience: float) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._keeper, self._patience = keeper, patience

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
            raise
        except Exception as error:
            log.warning("step failed", why=str(error), exc_info=not isinstance(error, StepError))
            await self._keep(order, "failed", _said(error), error.evidence if isinstance(error, StepError) else [])
            raise _as_failure(error) from error
        log.info("step done", found=finding.summary)
        await self._keep(order, "done", finding.summary, finding.evidence)
        return finding.bounded(activity.info().attempt)

    async def _keep(self, order: Order, outcome: str, detail: str, evidence: list[str]) -> None:
        info = activity.info()
        step = steps.BY_NAME.get(info.activity_type)
        if step is None or not step.kept:
            return
        tried = "" if outcome == "done" else f"/{info.attempt}"
        entry = Entry(
            event=f"{info.workflow_run_id}/{info.activity_id}/{outcome}{tried}",
            actor="worker",
            action=step.name,
            place=order.place,
            outcome=outcome,
            detail=detail[:LONGEST_MESSAGE],
            evidence=evidence[:MOST_LINES],
            version=order.ref.version,
        )
        await self._insist(order, entry)

    async def _insist(self, order: Order, entry: Entry) -> None:
        """A ledger that is away or locked for a moment must not cost what was done: a step may have few tries."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        while True:
            try:
                await self._keeper.keep(order, [entry])
            except Unreachable as away:
                if clock() >= until:
                    raise _as_failure(away) from away
                log.warning("the ledger can't be written, trying again", why=str(away))
                await asyncio.sleep(_PAUSE)
            else:
                return


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
