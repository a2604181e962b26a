"""Has production compared with what the last release left there, and shows the answer, a row a host."""

import asyncio
from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from console import drift_schedule
from console.doubt import in_doubt
from console.drift_schedule import DriftSchedule
from console.drift_view import drift_table
from console.ending import ending
from console.exit_status import ExitStatus
from console.lane import Lane
from console.output import plain
from console.refusal import Refusal, checked, refuse
from console.session import Session, Work, is_passing, person
from runbook import names
from runbook.drift_check import DriftOrder, DriftReport, DriftVerdict
from runbook.identifier import ProjectName

_LOOK_EVERY = timedelta(seconds=0.2)
_FIRST_DOUBT = timedelta(seconds=2)
_START = timedelta(seconds=10)
_STATUSES = {
    DriftVerdict.AS_RECORDED: ExitStatus.GOOD,
    DriftVerdict.DRIFTED: ExitStatus.DRIFTED,
    DriftVerdict.UNKNOWN: ExitStatus.UNKNOWN,
    DriftVerdict.UNDER_WAY: ExitStatus.GOING_ON,
}


def check(project: str, *, by: str | None, every: str | None) -> Work:
    """Now; with `every` by a schedule too, once a worker has admitted the project. Raises Refusal."""
    try:
        order = DriftOrder(project=project, requested_by=person(by))
    except ValidationError as error:
        refuse(error)
    span = None if every is None else drift_schedule.interval(every)

    async def work(session: Session) -> ExitStatus:
        schedule, report = DriftSchedule(session, project), await _Check(session, order).made()
        if report is None:
            return ExitStatus.GOING_ON
        if span is not None:
            with in_doubt(f"the schedule may be on: `python starter.py drift {project}` tells"):
                await schedule.switch_on(span, order)
        return await _shown(session, schedule, report)

    return work


def switch_off(project: str, every: str | None) -> Work:
    """End the schedule; that there is none is fine. Raises Refusal."""
    checked(ProjectName, project)
    if every is not None:
        raise Refusal("--every switches the schedule on and --off switches it off: give one of them")

    async def work(session: Session) -> ExitStatus:
        with in_doubt(f"the schedule may be off: `python starter.py drift {project}` tells"):
            was_on = await DriftSchedule(session, project).switch_off()
        session.output.say(f"drift of {project}: the schedule {'is switched off' if was_on else 'was not on'}")
        session.output.data({"project": project, "schedule": None, "was_on": was_on})
        return ExitStatus.GOOD

    return work


async def _shown(session: Session, schedule: DriftSchedule, report: DriftReport) -> ExitStatus:
    told, status = await schedule.told(), _STATUSES[report.verdict or DriftVerdict.UNKNOWN]
    session.output.show(drift_table(report))
    session.output.say(drift_schedule.line(told, report.project))
    session.output.data({**report.model_dump(mode="json"), "schedule": told, "exit_status": int(status)})
    return status


class _Check(Lane):
    """One run, beside the lane: whoever asks while one goes on gets that one's answer."""

    def __init__(self, session: Session, order: DriftOrder) -> None:
        super().__init__(session, order.project)
        self.workflow_id = names.drift_check(order.project)
        self._order = order

    async def made(self) -> DriftReport | None:
        """Its report; None, and a remark, where no worker makes it in time. Raises Refusal."""
        run_id = await self._started()
        loop = asyncio.get_running_loop()
        began, warned = loop.time(), False
        while True:
            try:
                found = await self.found(run_id)
                if found.status is not WorkflowExecutionStatus.RUNNING:
                    return await self._report(run_id)
                waited = timedelta(seconds=loop.time() - began)
                if waited >= _FIRST_DOUBT and not warned and not await self.has_worker():
                    warned = True
                    self.session.output.remark(self.no_worker())
                if waited >= self.session.patience.plan and warned and not await self.has_worker():
                    self._unanswered(run_id)
                    return None
            except RPCError as error:
                if not is_passing(error):
                    raise
            await asyncio.sleep(_LOOK_EVERY.total_seconds())

    async def _started(self) -> str:
        handle = await self.session.client.start_workflow(
            names.DRIFT_WORKFLOW,
            self._order,
            id=self.workflow_id,
            task_queue=self.session.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"drift check of {self.project}, asked for by {self._order.requested_by}",
            rpc_timeout=_START,
        )
        run_id = handle.result_run_id or handle.first_execution_run_id
        assert run_id is not None, "a started workflow has a run"  # noqa: S101 - Temporal's answer always carries it
        return run_id

    async def _report(self, run_id: str) -> DriftReport:
        found = await self.found(run_id)
        if found.status is WorkflowExecutionStatus.COMPLETED:
            return DriftReport.model_validate(plain(await self.handle(run_id).result(follow_runs=False)))
        ended = await ending(self, found)
        if ended is None:
            raise AssertionError("a run that has ended goes on")
        raise Refusal(ended.summary, ended.status)

    def _unanswered(self, run_id: str) -> None:
        waited = f"{self.session.patience.plan.total_seconds():g} s"
        self.session.output.remark(
            f"it was started as {self.workflow_id}, but nobody looked within {waited}: it goes on when a worker runs; "
            "ask again then"
        )
        self.session.output.data(
            {"workflow_id": self.workflow_id, "run_id": run_id, "exit_status": int(ExitStatus.GOING_ON)}
        )
