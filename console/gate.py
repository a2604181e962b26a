"""Shows a gate: what is authorized, exactly what would be signed, and the one line that signs it without this program."""

from console.decide import open_gate
from console.exit_status import ExitStatus
from console.lane import Lane
from console.refusal import checked
from console.session import Session, Work, person
from console.signing import by_hand
from runbook import names
from runbook.approval import lines_to_sign, text_of
from runbook.identifier import ProjectName
from runbook.status import GateView, Status


def show(project: str, *, by: str | None) -> Work:
    """For the person who would approve."""
    checked(ProjectName, project)
    who = person(by)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.running()
        status, gate = await open_gate(lane, run)
        text = text_of(lines_to_sign(status, gate, names.APPROVE, who))
        command = by_hand(status, gate, names.APPROVE, who)
        if gate.signed:
            session.output.say(_instructions(status, who, text, command))
        session.output.data(_data(gate, text, command))
        return ExitStatus.GOOD

    return work


def _instructions(status: Status, who: str, text: str, command: str) -> str:
    return "\n".join(
        [
            f"An approval by {who} is a signature over exactly this text:",
            "",
            text,
            f"Sign and send it: {names.starter('approve', status.project, '--as', who, '--sign', 'KEY')}",
            "or, without this program, sign it with this line and send what it prints as the signal `approve`:",
            "",
            command,
        ]
    )


def _data(gate: GateView, text: str, command: str) -> dict[str, object]:
    return {**gate.model_dump(mode="json"), "text": text if gate.signed else "", "sign": command if gate.signed else ""}
