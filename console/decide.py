"""Sends a person's word to a run and says what became of it."""

import sys
import uuid
from datetime import timedelta
from typing import Any

import typer
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as Unanswered
from temporalio.service import RPCError, RPCStatusCode

from console.board import board
from console.exit_status import ExitStatus
from console.lane import Lane, doing
from console.output import plain
from console.refusal import Refusal, checked
from console.session import Session, Work, person
from console.signing import signed
from runbook import names
from runbook.decision import Verdict
from runbook.identifier import Digest, ProjectName
from runbook.status import GateView, Status

_ANSWER = timedelta(seconds=10)
_TRIES = 3


def judge(
    project: str, decision: str, *, digest: str | None, comment: str, by: str | None, key: str | None = None
) -> Work:
    """`approve` or `reject`, about exactly one digest; signed with `key` where one is given."""
    checked(ProjectName, project)
    who = person(by)
    if digest is not None:
        checked(Digest, digest)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.running()
        payload = {"decision": decision, "by": who, "digest": digest, "comment": comment, "signature": None}
        if digest is None or key is not None:
            status, gate = await open_gate(lane, run)
            payload["digest"] = _meant(lane, gate, decision, digest)
            payload["signature"] = signed(status, gate, decision, who, key) if key else None
        return _told(lane, decision, await _answer(lane, run.run_id, payload))

    return work


def instruct(project: str, instruction: str, *, reason: str, step: str | None, by: str | None) -> Work:
    """`retry`, `abort`, `roll_back` or `remind`: answered by the run, or kept for it where no worker runs now."""
    checked(ProjectName, project)
    payload = {"by": person(by), "reason": reason, **({"step": step} if step else {})}

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.running()
        if await lane.has_worker():
            return _told(lane, instruction, await _answer(lane, run.run_id, {"decision": instruction, **payload}))
        await lane.handle(run.run_id).signal(instruction, payload, rpc_timeout=_ANSWER)
        session.output.say(f"{instruction}: sent, and heard as soon as a worker runs; {lane.no_worker()}")
        session.output.data({"accepted": None, "why": "sent; no worker runs now"})
        return ExitStatus.GOOD

    return work


async def open_gate(lane: Lane, run: WorkflowExecutionDescription) -> tuple[Status, GateView]:
    """What the run shows at its gate, shown here too. Raises Refusal when it is at none."""
    status = await lane.status(run.run_id)
    if status is None:
        raise Refusal(f"{lane.project}: nobody tells what the gate shows; {lane.no_worker()}")
    if status.gate is None or not status.gate.open:
        raise Refusal(f"{lane.project}: the gate is not open, {status.kind} {status.version} is {doing(status)}")
    lane.session.output.show(board(status))
    return status, status.gate


def _meant(lane: Lane, gate: GateView, decision: str, digest: str | None) -> str:
    """The digest on show: as the person said, or after the person has seen it and said yes."""
    if digest is not None:
        if digest != gate.digest:
            raise Refusal(f"{digest} is not what the gate of {lane.project} shows: {gate.digest}")
        return digest
    if not sys.stdin.isatty() or lane.session.output.json:
        raise Refusal(f"say which digest: --digest {gate.digest} is what the gate of {lane.project} shows")
    lane.session.output.say(f"{gate.changelog}\n\n{decision} {gate.image}, commit {gate.commit}")
    if not typer.confirm("exactly this?"):
        raise Refusal("nothing was decided")
    return gate.digest


async def _answer(lane: Lane, run_id: str, payload: dict[str, Any]) -> Verdict:
    """What the run says to it. One id for all tries, so that it is heard once."""
    update_id = uuid.uuid4().hex
    for _ in range(_TRIES):
        try:
            answer: Any = await lane.handle(run_id).execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's overload
                names.DECIDE, payload, id=update_id, rpc_timeout=_ANSWER
            )
            return Verdict.model_validate(plain(answer))
        except Unanswered:
            lane.session.output.remark("no answer yet, asking again")
        except WorkflowUpdateFailedError as error:
            return Verdict(accepted=False, why=plain(str(error.cause or error)))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND and error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
            run_id = await _gone_on_in(lane, run_id)
    raise Refusal(f"nobody answered; see `status {lane.project}` before you send it again: {lane.no_worker()}")


async def _gone_on_in(lane: Lane, run_id: str) -> str:
    """The run that hears it, where this one could not: a gate may just have gone on in a new one. Raises Refusal."""
    found = await lane.found(run_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise Refusal(f"{lane.project}: the run ended meanwhile, see `status {lane.project}`")
    return found.run_id


def _told(lane: Lane, decision: str, verdict: Verdict) -> ExitStatus:
    if not verdict.accepted:
        raise Refusal(f"{decision} refused: {verdict.why}")
    lane.session.output.say(f"{decision} accepted: {verdict.why}")
    lane.session.output.data(verdict)
    return ExitStatus.GOOD
