"""Sends a person's word to a run and says what became of it."""

import sys

from temporalio.client import WorkflowExecutionDescription

from console.board import board
from console.exit_status import ExitStatus
from console.lane import Lane, doing
from console.question import confirmed
from console.refusal import Refusal, checked
from console.session import Session, Work, person
from console.signing import signed
from console.word import Word
from runbook.decision import Verdict
from runbook.identifier import Digest, ProjectName
from runbook.status import GateView, Status


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
        payload = {"by": who, "digest": digest, "comment": comment, "signature": None}
        if digest is None or key is not None:
            status, gate = await open_gate(lane, run)
            payload["digest"] = _meant(lane, gate, decision, digest)
            payload["signature"] = signed(status, gate, decision, who, key) if key else None
        return _told(lane, decision, await Word(lane, run.run_id, decision, payload).answer())

    return work


def instruct(project: str, instruction: str, *, reason: str, step: str | None, by: str | None) -> Work:
    """`retry`, `abort`, `roll_back` or `remind`: answered by the run, or kept for it where no worker runs now."""
    checked(ProjectName, project)
    payload = {"by": person(by), "reason": reason, **({"step": step} if step else {})}

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.running()
        word = Word(lane, run.run_id, instruction, payload)
        if await lane.has_worker():
            return _told(lane, instruction, await word.answer())
        await word.leave()
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
    if not confirmed("exactly this?"):
        raise Refusal("nothing was decided")
    return gate.digest


def _told(lane: Lane, decision: str, verdict: Verdict) -> ExitStatus:
    if not verdict.accepted:
        raise Refusal(f"{decision} refused: {verdict.why}")
    lane.session.output.say(f"{decision} accepted: {verdict.why}")
    lane.session.output.data(verdict)
    return ExitStatus.GOOD
