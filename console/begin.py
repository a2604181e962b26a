"""Starts a release or a rollback in its project's lane, and waits until it is admitted or refused."""

import asyncio
from datetime import timedelta

from pydantic import ValidationError
from temporalio.service import RPCError

from console.decide import instruct
from console.doubt import done, told_by
from console.ending import ending
from console.exit_status import ExitStatus
from console.follow import conclude, follow
from console.lane import Lane
from console.refusal import Refusal, refuse
from console.session import Session, Work, is_passing, person
from console.start import Start
from runbook import names
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.status import Status

_LOOK_EVERY = timedelta(seconds=0.2)
_FIRST_DOUBT = timedelta(seconds=2)


def release(project: str, version: str, *, commit: str | None, reason: str, by: str | None, wait: bool) -> Work:
    """Checked here, before any connection. Raises Refusal."""
    _lane_of_its_own(project)
    try:
        order = ReleaseOrder(project=project, version=version, commit=commit, requested_by=person(by), reason=reason)
    except ValidationError as error:
        refuse(error)
    return _begin(names.RELEASE_WORKFLOW, order, f"release {project} {version}", wait=wait)


def rollback(project: str, *, to: str | None, reason: str, by: str | None, wait: bool) -> Work:
    """By hand; a release that holds the lane is told to roll back. Checked before any connection. Raises Refusal."""
    if not reason.strip():
        raise Refusal("a rollback needs its reason: say why with --reason, it goes into the postmortem")
    _lane_of_its_own(project)
    try:
        order = RollbackOrder(project=project, to_version=to, requested_by=person(by), reason=reason)
    except ValidationError as error:
        refuse(error)
    start = _begin(names.ROLLBACK_WORKFLOW, order, f"rollback {project} to {to or 'the last good version'}", wait=wait)
    instruction = instruct(project, names.ROLL_BACK, reason=reason, step=None, by=by)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        if to is not None or not await lane.is_releasing():
            return await start(session)
        told = await instruction(session)
        with done(f"{names.ROLL_BACK}: it was heard: {told_by(project)} how it stands"):
            return await follow(lane, (await lane.found()).run_id) if wait else told

    return work


def _lane_of_its_own(project: str) -> None:
    """Only where something begins: what was begun under such a name before can still be watched and ended."""
    if fault := names.lane_fault(project):
        raise Refusal(fault)


def _begin(workflow: str, order: ReleaseOrder | RollbackOrder, title: str, *, wait: bool) -> Work:
    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, order.project)
        run_id = await Start(lane, workflow, order, title).run_id()
        session.output.say(f"{title}: started as {lane.workflow_id}, run {run_id}")
        with done(f"{title}: it was started: {told_by(order.project)} how it stands"):
            status = await _admitted(lane, run_id)
            if isinstance(status, ExitStatus):
                return status
            if wait:
                return await follow(lane, run_id)
        session.output.say(f"admitted: {len(status.rows)} steps ahead; follow it with `watch {order.project}`")
        session.output.data(status.model_dump(mode="json"))
        return ExitStatus.GOOD

    return work


async def _admitted(lane: Lane, run_id: str) -> Status | ExitStatus:
    """The status once there is a plan; how to end where there is none: refused, or nobody planned it in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    warned = False
    while loop.time() - began < lane.session.patience.plan.total_seconds():
        try:
            ended = await ending(lane, await lane.found(run_id))
            if ended is not None:
                if ended.status is ExitStatus.REFUSED:
                    raise Refusal(ended.summary)
                return conclude(lane, run_id, ended)
            status = await lane.status(run_id, within=_FIRST_DOUBT)
            if status is not None and status.tag:
                return status
            if status is None and not warned and not await lane.has_worker():
                warned = True
                lane.session.output.remark(lane.no_worker())
        except RPCError as error:
            if not is_passing(error):
                raise
        await asyncio.sleep(_LOOK_EVERY.total_seconds())
    return _unplanned(lane, run_id)


def _unplanned(lane: Lane, run_id: str) -> ExitStatus:
    waited = f"{lane.session.patience.plan.total_seconds():g} s"
    lane.session.output.remark(
        f"it was started, but nobody planned it within {waited}: does worker.py run, with the task queue "
        f"{lane.session.task_queue}, at {lane.session.target}? Follow it with `watch {lane.project}`"
    )
    lane.session.output.data(
        {"workflow_id": lane.workflow_id, "run_id": run_id, "exit_status": int(ExitStatus.GOING_ON)}
    )
    return ExitStatus.GOING_ON
