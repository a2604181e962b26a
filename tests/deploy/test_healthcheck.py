"""The image's health check, run as the image runs it, against a real Temporal server."""

import asyncio
import socket
import sys
from datetime import timedelta

from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from deploy.ports import free_port
from process.connection import identity
from process.polls import ACTIVITIES, WORKFLOWS, polls
from tests.deploy.running import ROOT, ended
from tests.empty_workflow import Empty
from tests.servers import TemporalServer


@activity.defn
async def nothing() -> None: ...


def check(address: str, task_queue: str, *words: str) -> tuple[int, str]:
    variables = {"TEMPORAL_ADDRESS": address, "RUNBOOK_TASK_QUEUE": task_queue, "PATH": "/usr/bin:/bin"}
    done = ended([sys.executable, "-m", "deploy.healthcheck", *words], environment=variables, folder=ROOT)
    return done.returncode, done.stderr


async def polled(client: Client, task_queue: str, kind: TaskQueueType.ValueType = ACTIVITIES) -> None:
    """Until the server has heard from this client's worker."""
    async with asyncio.timeout(10):
        while not await polls(client, task_queue, kind, within=timedelta(seconds=5)):
            await asyncio.sleep(0.02)


async def test_a_worker_of_this_machine_that_polls_is_well(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, identity=identity("worker"), data_converter=pydantic_data_converter)
    async with Worker(client, task_queue="healthy", activities=[nothing]):
        await polled(client, "healthy")
        assert await asyncio.to_thread(check, temporal.address, "healthy") == (0, "")


async def test_a_worker_of_another_machine_does_not_count(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, identity="worker@elsewhere/1")
    async with Worker(client, task_queue="elsewhere", activities=[nothing]):
        await polled(client, "elsewhere")
        for words in ((), ("--alive",)):
            status, said = await asyncio.to_thread(check, temporal.address, "elsewhere", *words)
            assert status == 1
            assert f"no worker of {socket.gethostname()} polls elsewhere" in said


async def test_a_worker_that_asks_for_no_more_steps_is_alive(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, identity=identity("worker"))
    async with Worker(client, task_queue="busy", workflows=[Empty]):
        await polled(client, "busy", WORKFLOWS)
        assert (await asyncio.to_thread(check, temporal.address, "busy"))[0] == 1
        assert await asyncio.to_thread(check, temporal.address, "busy", "--alive") == (0, "")


async def test_a_temporal_that_is_away_is_said_in_one_line_and_is_no_reason_for_a_restart() -> None:
    away = f"127.0.0.1:{free_port()}"
    both = await asyncio.gather(*(asyncio.to_thread(check, away, "nowhere", *words) for words in ((), ("--alive",))))
    assert [status for status, _ in both] == [1, 0]
    for _, said in both:
        assert "Temporal does not answer" in said
        assert "Traceback" not in said
