"""A person's word to one run, sent so that it is heard once, until it is known what became of it."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as Unanswered
from temporalio.service import RPCError, RPCStatusCode

from console.doubt import in_doubt, leaves_open, told_by, unknown
from console.lane import Lane
from console.output import plain
from console.refusal import Refusal
from runbook import names
from runbook.decision import Verdict

_TRIES = 3
_AGAIN_AFTER = timedelta(seconds=0.5)
_NOT_THERE = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}


class Word:
    """`kind` is what it is about, like `abort`."""

    def __init__(self, lane: Lane, run_id: str, kind: str, payload: dict[str, Any]) -> None:
        self._lane = lane
        self._run_id = run_id
        self._kind = kind
        self._payload = payload
        # One id for all tries, so that it is heard once.
        self._id = uuid.uuid4().hex
        self._open = False

    async def answer(self) -> Verdict:
        """What the run says to it. Raises Refusal where it can't be heard or nobody tells whether it was, RPCError."""
        for _ in range(_TRIES):
            try:
                verdict = await self._once()
            except Unanswered:
                # The client's library says the same when it is cancelled, which Ctrl-C does.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from None
                await self._doubt()
            except RPCError as error:
                if not leaves_open(error) and not self._open:
                    raise
                if not leaves_open(error):
                    raise self._unknown(error) from error
                await self._doubt()
            else:
                if verdict is not None:
                    return verdict
        raise self._unknown() if self._open else Refusal(f"{self._kind}: the run of {self._lane.project} hears nothing")

    async def leave(self) -> None:
        """As a signal, kept for the next worker. Sent once: a run would hear a second one as another word."""
        with in_doubt(self._maybe()):
            await self._lane.handle(self._run_id).signal(
                self._kind, self._payload, rpc_timeout=self._lane.session.patience.taken
            )

    async def _once(self) -> Verdict | None:
        """None where the run was not there, and is to be asked where it went on."""
        try:
            answer: Any = await self._lane.handle(self._run_id).execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's overload
                names.DECIDE,
                {"decision": self._kind, **self._payload},
                id=self._id,
                rpc_timeout=self._lane.session.patience.taken,
            )
            return Verdict.model_validate(plain(answer))
        except WorkflowUpdateFailedError as error:
            return Verdict(accepted=False, why=plain(str(error.cause or error)))
        except RPCError as error:
            if error.status not in _NOT_THERE:
                raise
            await self._go_on()
            return None

    async def _go_on(self) -> None:
        """To the run that hears it, where this one could not: a gate may just have gone on in a new one."""
        found = await self._lane.found(self._run_id)
        if found.status is WorkflowExecutionStatus.RUNNING:
            self._run_id = found.run_id
            return
        if self._open:
            raise self._unknown()
        raise Refusal(f"{self._lane.project}: the run ended meanwhile, see `status {self._lane.project}`")

    async def _doubt(self) -> None:
        self._open = True
        self._lane.session.output.remark("no answer yet, asking again")
        await asyncio.sleep(_AGAIN_AFTER.total_seconds())

    def _unknown(self, error: RPCError | None = None) -> Refusal:
        return unknown(self._maybe() if error else f"nobody answered; {self._maybe()}", error)

    def _maybe(self) -> str:
        project = self._lane.project
        return f"{self._kind}: it may have been heard: {told_by(project)}, look there before you send it again"
