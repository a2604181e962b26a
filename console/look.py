"""How a project's newest run stands, from the run itself or, where no worker answers, from what Temporal keeps."""

from typing import Any

from temporalio.client import WorkflowExecutionDescription

from console.board import board
from console.ending import ending
from console.exit_status import ExitStatus
from console.lane import Lane
from console.moments import in_words
from console.output import plain
from console.refusal import checked
from console.session import Session, Work
from runbook import steps
from runbook.identifier import ProjectName
from runbook.status import REFUSED, Status


def status(project: str) -> Work:
    checked(ProjectName, project)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.found()
        ended = await ending(lane, run)
        told = await lane.status(run.run_id)
        if told is not None:
            session.output.show(board(told))
            data: dict[str, Any] = {**told.model_dump(mode="json"), **await _rollback(lane, told)}
        else:
            session.output.remark(await lane.why_silent(run))
            data = await _kept(run)
            session.output.say("\n".join(f"{name}: {in_words(value)}" for name, value in data.items()))
        exit_status = ExitStatus.GOING_ON if ended is None else ended.status
        if ended is not None:
            data |= {"outcome": ended.outcome} if ended.outcome == REFUSED else {}
            session.output.say(ended.line(project))
        session.output.data({**data, "exit_status": int(exit_status)})
        return exit_status

    return work


async def _rollback(lane: Lane, release: Status) -> dict[str, Any]:
    """Shows the rollback that this release waits for, with what it needs people for."""
    is_returning = release.kind == "release" and release.outcome is None and release.stage == steps.PUT_BACK.stage
    rollback = await lane.rollback() if is_returning else None
    # One that has ended is an earlier release's, or there is nothing more to wait for.
    if rollback is None or rollback.outcome is not None:
        return {}
    lane.session.output.show(board(rollback))
    return {"rollback": rollback.model_dump(mode="json")}


async def _kept(run: WorkflowExecutionDescription) -> dict[str, Any]:
    pending = [
        f"{each.activity_type.name}, attempt {each.attempt}"
        + (f", failed before: {each.last_failure.message}" if each.last_failure.message else "")
        for each in run.raw_description.pending_activities
    ]
    return {
        "run": plain(await run.static_summary()) or run.workflow_type,
        "workflow_id": run.id,
        "run_id": run.run_id,
        "state": run.status.name.lower() if run.status else "unknown",
        "started": run.start_time,
        "steps under way": plain("; ".join(pending)) or "none",
    }
