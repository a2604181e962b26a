"""What Temporal knows of a project's lane."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import Unreachable
from runbook import names

_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True)
class Holder:
    """A run that goes on. `first_run` is the one that it goes on from: by that the ledger knows a release."""

    workflow_id: str
    first_run: str
    workflow_type: str


class TemporalLane:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def rollback_running(self, project: str) -> bool:
        """Whether a rollback that a release started still goes on, its release gone. Raises Unreachable."""
        return await self._running(names.rollback_lane(project)) is not None

    async def holders(self, project: str) -> list[Holder]:
        """What may change the project's production now. Raises Unreachable."""
        found = [await self._running(lane) for lane in (names.lane(project), names.rollback_lane(project))]
        return [holder for holder in found if holder is not None]

    async def _running(self, workflow_id: str) -> Holder | None:
        try:
            found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise Unreachable(
                f"Temporal does not tell whether {workflow_id} is running ({error.message}); asked again"
            ) from error
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        first = found.raw_description.workflow_execution_info.first_run_id
        return Holder(workflow_id, first or found.run_id, found.workflow_type)
