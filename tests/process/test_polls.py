import asyncio
import time
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from process.polls import ACTIVITIES, WORKFLOWS, polls
from tests.servers import TemporalServer

MANY = 8
WITHIN = timedelta(seconds=5)


@activity.defn
async def nothing() -> None: ...


async def test_every_poller_is_known_whichever_partition_its_polls_came_to(temporal: TemporalServer) -> None:
    names = {f"poller-{number}" for number in range(MANY)}
    clients = [await Client.connect(temporal.address, identity=name) for name in names]
    # One poll each: most of them come to other partitions than the first.
    workers = [
        Worker(client, task_queue="polled", activities=[nothing], max_concurrent_activity_task_polls=1)
        for client in clients
    ]
    began = time.time()
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        async with asyncio.timeout(20):
            while set(heard := await polls(clients[0], "polled", ACTIVITIES, within=WITHIN)) != names:
                await asyncio.sleep(0.05)
        assert all(abs(at - began) < 20 for at in heard.values())
        assert await polls(clients[0], "polled", WORKFLOWS, within=WITHIN) == {}
    finally:
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*running)


async def test_nobody_polls_a_queue_that_nobody_polls(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address)
    assert await polls(client, "forsaken", WORKFLOWS, within=WITHIN) == {}
