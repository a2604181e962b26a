"""Plans a drift check: the project's file, what each host was left with, and whether production is being changed now."""

from collections.abc import Callable, Sequence
from typing import Protocol

from activities.binding import performs
from activities.clients.lane import Holder
from activities.clients.ledger_table import Row
from activities.errors import Refused
from activities.heartbeat import in_thread
from activities.host_records import ACTIONS, HostRecords
from activities.projects import ReadProject
from runbook import names, steps
from runbook.drift_check import DriftCheckPlan, DriftCheckToPlan
from runbook.identifier import tag_of


class Files(Protocol):
    def load(self, name: str, *, for_release: bool = ...) -> ReadProject: ...


class Past(Protocol):
    async def rows(self, project: str, release: str | None = None, actions: Sequence[str] = ()) -> list[Row]: ...


class Lane(Protocol):
    """Raises Unreachable when Temporal does not tell."""

    async def holders(self, project: str) -> list[Holder]: ...


class DriftCheckActivities:
    """`search_attributes` tells whether Temporal knows ours."""

    def __init__(self, files: Files, past: Past, lane: Lane, search_attributes: Callable[[], bool]) -> None:
        self._files = files
        self._past = past
        self._lane = lane
        self._search_attributes = search_attributes

    @performs(steps.PLAN_DRIFT_CHECK)
    async def plan(self, order: DriftCheckToPlan) -> DriftCheckPlan:
        project = order.ref.project
        read = await in_thread(self._files.load, project, for_release=False)
        # In this order: what ends in between is taken as under way, not as a record that is out of date.
        under_way = await self._under_way(project)
        known = HostRecords(await self._past.rows(project, actions=ACTIONS))
        if not known.version:
            raise Refused(
                f"no release of {project} is recorded in the ledger, so there is nothing to compare with: "
                f"release it first, with `start {project} VERSION`"
            )
        return DriftCheckPlan(
            summary=f"compared with what {tag_of(known.version)} left, recorded {known.at}",
            project=read.project,
            version=known.version,
            digest=known.digest,
            recorded=known.at,
            records=known.records,
            under_way=under_way,
            standing=known.standing,
            told=known.told,
            search_attributes=self._search_attributes(),
        )

    async def _under_way(self, project: str) -> str:
        """A release touches production only after every way back is recorded; before that all is as it was left."""
        for holder in await self._lane.holders(project):
            if holder.workflow_type != names.RELEASE_WORKFLOW:
                return f"a rollback is under way as {holder.workflow_id}"
            rows = await self._past.rows(project, holder.first_run, (steps.WAY_BACK.name,))
            if any(row.outcome == "done" for row in rows):
                return f"a release is changing production as {holder.workflow_id}"
        return ""
