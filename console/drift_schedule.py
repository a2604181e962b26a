"""The schedule by which a project's production is checked for drift again and again: one of Temporal's own."""

from datetime import timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from console.moments import clock
from console.refusal import Refusal, refuse
from console.session import Session
from runbook import names
from runbook.drift_check import DriftOrder
from runbook.span import Span, spoken

SHORTEST: Final = timedelta(minutes=1)
_CATCH_UP: Final = timedelta(minutes=1)
_RPC = timedelta(seconds=10)


def interval(text: str) -> timedelta:
    """`1h` or `30m`. Raises Refusal."""
    try:
        every: timedelta = TypeAdapter(Span).validate_python(text)
    except ValidationError as error:
        refuse(error)
    if every < SHORTEST:
        raise Refusal(f"every {spoken(every)} is too often: a check looks at every host, so 1m is the shortest")
    return every


class DriftSchedule:
    """One project's; its checks carry the time behind their workflow ID."""

    def __init__(self, session: Session, project: str) -> None:
        self._session = session
        self._id = names.drift_check(project)

    async def switch_on(self, every: timedelta, order: DriftOrder) -> None:
        """Make it, or change the one that is there; one that was paused goes on."""
        wanted = self._wanted(every, order)
        try:
            await self._session.client.create_schedule(self._id, wanted, rpc_timeout=_RPC)
        except ScheduleAlreadyRunningError:
            await self._handle.update(lambda _: ScheduleUpdate(schedule=wanted), rpc_timeout=_RPC)

    async def switch_off(self) -> bool:
        """Whether there was one."""
        try:
            await self._handle.delete(rpc_timeout=_RPC)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def told(self) -> dict[str, Any] | None:
        """How often, when next, whether paused; None where there is no schedule."""
        try:
            found = await self._handle.describe(rpc_timeout=_RPC)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        following = found.info.next_action_times
        return {
            "schedule_id": found.id,
            "every": ", ".join(spoken(each.every) for each in found.schedule.spec.intervals) or "as Temporal's UI says",
            "next": None if found.schedule.state.paused or not following else following[0],
            "paused": found.schedule.state.paused,
        }

    @property
    def _handle(self) -> ScheduleHandle:
        return self._session.client.get_schedule_handle(self._id)

    def _wanted(self, every: timedelta, order: DriftOrder) -> Schedule:
        """A check that still runs is not started beside; what was missed while Temporal was away is not made up for."""
        return Schedule(
            action=ScheduleActionStartWorkflow(
                names.DRIFT_WORKFLOW,
                order,
                id=self._id,
                task_queue=self._session.task_queue,
                static_summary=f"drift check of {order.project} every {spoken(every)}",
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        )


def line(told: dict[str, Any] | None, project: str) -> str:
    """For people."""
    if told is None:
        return f"no schedule checks {project} for drift: `drift {project} --every 1h` switches one on"
    following = clock(told["next"]) if told["next"] else "a time that Temporal does not tell"
    when = "paused in Temporal" if told["paused"] else f"next at {following}"
    return f"checked every {told['every']} by schedule {told['schedule_id']}, {when}"
