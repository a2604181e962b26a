"""Who polls a task queue, as the server has heard of it."""

import asyncio
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListTaskQueuePartitionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


async def polls(
    client: Client, task_queue: str, kind: TaskQueueType.ValueType, *, within: timedelta
) -> dict[str, float]:
    """Each poller's identity, and when it was last heard of in seconds since 1970. Raises RPCError.

    All partitions are asked: a poll is known only to the one that it came to, and a worker has fewer polls than there are.
    """

    async def heard(partition: str) -> dict[str, float]:
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=partition), task_queue_type=kind
            ),
            timeout=within,
        )
        return {poller.identity: poller.last_access_time.ToMilliseconds() / 1000 for poller in described.pollers}

    newest: dict[str, float] = {}
    for found in await asyncio.gather(*(heard(name) for name in await _partitions(client, task_queue, kind, within))):
        for identity, at in found.items():
            newest[identity] = max(at, newest.get(identity, 0))
    return newest


async def _partitions(client: Client, task_queue: str, kind: TaskQueueType.ValueType, within: timedelta) -> list[str]:
    """As names of task queues; where the server does not tell, only the first, which has the queue's own."""
    request = ListTaskQueuePartitionsRequest(namespace=client.namespace, task_queue=TaskQueue(name=task_queue))
    try:
        listed = await client.workflow_service.list_task_queue_partitions(request, timeout=within)
    except RPCError as error:
        if error.status in {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED}:
            return [task_queue]
        raise
    partitions = listed.workflow_task_queue_partitions if kind == WORKFLOWS else listed.activity_task_queue_partitions
    return [partition.key for partition in partitions]
