"""Follows one run to its end, through restarts of workers and of Temporal."""

import asyncio
from datetime import timedelta

from temporalio.service import RPCError

from console.ending import Ending, ending
from console.exit_status import ExitStatus
from console.lane import Lane
from console.refusal import checked
from console.session import Session, Work, is_passing
from console.views import View, view_for
from runbook.identifier import ProjectName

_EVERY = timedelta(seconds=0.5)


def watch(project: str) -> Work:
    """The newest run's board until it ends."""
    checked(ProjectName, project)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        run = await lane.found()
        return await follow(lane, run.run_id)

    return work


async def follow(lane: Lane, run_id: str) -> ExitStatus:
    """Show this run until it ends, then say how it ended."""
    with view_for(lane.session.output) as view:
        last_run, ended = await _until_ended(lane, run_id, view)
    return conclude(lane, last_run, ended)


def conclude(lane: Lane, run_id: str, ended: Ending) -> ExitStatus:
    """Say how this run ended."""
    lane.session.output.say(ended.line(lane.project))
    lane.session.output.data(
        {
            "project": lane.project,
            "workflow_id": lane.workflow_id,
            "run_id": run_id,
            "version": ended.version,
            "digest": ended.digest,
            "outcome": ended.outcome,
            "summary": ended.summary,
            "exit_status": int(ended.status),
        }
    )
    return ended.status


async def _until_ended(lane: Lane, run_id: str, view: View) -> tuple[str, Ending]:
    """The run that it ended in, and how."""
    while True:
        try:
            found = await lane.found(run_id)
            # Temporal forgets the runs that it went on from.
            run_id = found.run_id
            ended = await ending(lane, found)
            status = await lane.status(run_id)
            if status is not None:
                view.show(status)
            elif ended is None:
                view.silent(f"{await lane.why_silent(found)}; still asking")
            if ended is not None:
                return run_id, ended
        except RPCError as error:
            if not is_passing(error):
                raise
            view.silent(f"Temporal does not answer at {lane.session.target}: {error.message}; still trying")
        await asyncio.sleep(_EVERY.total_seconds())
