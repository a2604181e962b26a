"""What Temporal knows of a project's lane."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import Unreachable
from runbook import names

_PATIENCE = timedelta(seconds=10)


class TemporalLane:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def rollback_running(self, project: str) -> bool:
        """Whether a rollback that a release started still goes on, its release gone. Raises Unreachable."""
        workflow_id = names.rollback_lane(project)
        try:
            found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise Unreachable(
                f"Temporal does not tell whether {workflow_id} is running ({error.message}); asked again"
            ) from error
        return found.status is WorkflowExecutionStatus.RUNNING
