"""Whether a project's lane is taken, by Temporal's word."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

_PATIENCE = timedelta(seconds=10)


async def is_running(client: Client, workflow_id: str) -> bool:
    """Whether a run under this workflow ID goes on now. Raises RPCError when Temporal doesn't tell."""
    try:
        found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return found.status is WorkflowExecutionStatus.RUNNING
