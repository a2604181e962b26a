"""A ledger in memory, and an activity before the interceptor that writes it."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import Unreachable
from activities.interceptor import StepInterceptor
from runbook import names
from runbook.message import Finding, Order, ReleaseRef
from runbook.record import Entry
from runbook.step import Step

REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
)

Work = Callable[[], Awaitable[Finding]]


class Kept:
    """It is `away` so many times first; what is kept waits for `let_go`."""

    def __init__(self, away: int = 0) -> None:
        self.entries: list[Entry] = []
        self.away = away
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def keep(self, order: Order, entries: list[Entry]) -> str:
        self.reached.set()
        if self.away:
            self.away -= 1
            raise Unreachable("the ledger is locked")
        await self.let_go.wait()
        known = {entry.event for entry in self.entries}
        self.entries += [entry for entry in entries if entry.event not in known]
        return ""


class _Worked(ActivityInboundInterceptor):
    def __init__(self, work: Work) -> None:
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        return await self._work()


def attempt(step: Step[Any, Any]) -> ActivityEnvironment:
    """Where the third attempt at this step runs."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        ActivityEnvironment.default_info(),
        workflow_type=names.RELEASE_WORKFLOW,
        activity_type=step.name,
        attempt=3,
    )
    return environment


async def performed(environment: ActivityEnvironment, interceptor: StepInterceptor, work: Work) -> Any:
    inbound = interceptor.intercept_activity(_Worked(work))
    asked = ExecuteActivityInput(fn=performed, args=[Order(ref=REF)], executor=None, headers={})
    return await environment.run(inbound.execute_activity, asked)
