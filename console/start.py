"""One start, sent until it is known what became of it; its memo tells its own run from another's."""

import asyncio
import uuid
from datetime import timedelta

from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from console.doubt import leaves_open, told_by, unknown
from console.lane import Lane
from console.refusal import Refusal
from runbook import names
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.step import TASK_WITHIN

_AGAIN_AFTER = timedelta(seconds=0.5)


class Start:
    def __init__(self, lane: Lane, workflow: str, order: ReleaseOrder | RollbackOrder, title: str) -> None:
        self._lane = lane
        self._workflow = workflow
        self._order = order
        self._title = title
        self._mark = uuid.uuid4().hex
        self._in_doubt = False

    async def run_id(self) -> str:
        """Raises Refusal when somebody else holds the lane or nobody tells in time what became of it, RPCError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._lane.session.patience.plan.total_seconds()
        while True:
            try:
                return await self._once()
            except RPCError as error:
                if not leaves_open(error) and not self._in_doubt:
                    raise
                if not leaves_open(error) or loop.time() >= until:
                    raise self._unknown(error) from error
                self._doubt()
            await asyncio.sleep(_AGAIN_AFTER.total_seconds())

    def _doubt(self) -> None:
        if not self._in_doubt:
            self._lane.session.output.remark("no answer yet, asking what became of it")
        self._in_doubt = True

    def _unknown(self, error: RPCError) -> Refusal:
        return unknown(f"{self._title}: it may have been started: {told_by(self._lane.project)}", error)

    async def _once(self) -> str:
        """What was sent before may have arrived, and even have ended: then it is not sent again."""
        if self._in_doubt and (ours := await self._arrived()):
            return ours
        try:
            return await self._sent()
        except WorkflowAlreadyStartedError:
            if ours := await self._arrived():
                return ours
        holder, way_out = await self._lane.holder()
        raise Refusal(f"{holder}; nothing was started: `watch {self._lane.project}`, or `{way_out}` it")

    async def _sent(self) -> str:
        by = f"{self._title}, asked for by {self._order.requested_by}"
        session = self._lane.session
        handle = await session.client.start_workflow(
            self._workflow,
            self._order,
            id=self._lane.workflow_id,
            task_queue=session.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            task_timeout=TASK_WITHIN,
            memo={names.MEMO_START: self._mark},
            static_summary=by[:200],
            static_details=f"{by}\n\n{self._order.reason}" if self._order.reason else by,
            rpc_timeout=session.patience.taken,
        )
        run_id = handle.result_run_id or handle.first_execution_run_id
        assert run_id is not None, "a started workflow has a run"  # noqa: S101 - Temporal's answer always carries it
        return run_id

    async def _arrived(self) -> str | None:
        """The newest run, if it is what was sent here."""
        try:
            found = await self._lane.handle().describe(rpc_timeout=self._lane.session.patience.taken)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return found.run_id if await found.memo_value(names.MEMO_START, None) == self._mark else None
