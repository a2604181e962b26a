"""Which projects' runs need a person, as Prometheus is told."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from deploy.ports import free_port
from process.attributes import ensure_search_attributes
from process.telemetry import worker_runtime
from process.waiting import keep_counting
from runbook import names
from tests.deploy.metrics import samples
from tests.servers import TemporalServer, temporal_server

SOON = timedelta(milliseconds=100)
Told = dict[tuple[str, str], float]
Look = Callable[[], Awaitable[Told]]


@contextlib.asynccontextmanager
async def told(client: Client, *projects: str) -> AsyncGenerator[Look]:
    """What is served of each project, where the worker has files of these."""
    address = f"127.0.0.1:{free_port()}"
    runtime = worker_runtime(address)
    counting = asyncio.create_task(keep_counting(client, runtime.metric_meter, lambda: projects, SOON))
    async with httpx.AsyncClient(trust_env=False) as http:

        async def look() -> Told:
            text = (await http.get(f"http://{address}/metrics")).text
            served = [each for each in samples(text) if each.name == "runbook_needs_person"]
            return {(each.labels["project"], each.labels["at"]): each.value for each in served}

        yield look
    counting.cancel()


async def until(look: Look, wanted: Told) -> None:
    async with asyncio.timeout(20):
        while not wanted.items() <= (seen := await look()).items():
            await asyncio.sleep(0.05)
    assert {key: seen[key] for key in wanted} == wanted


async def waits(client: Client, project: str, stage: str) -> WorkflowHandle[Any, Any]:
    """As far as the list tells."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(SearchAttributeKey.for_keyword(names.SEARCH_PROJECT), project),
        SearchAttributePair(SearchAttributeKey.for_keyword(names.SEARCH_STAGE), stage),
        SearchAttributePair(SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON), value=True),
    ]
    found = TypedSearchAttributes(pairs)
    return await client.start_workflow("any", id=f"waits-{project}", task_queue="waits", search_attributes=found)


@pytest.fixture
async def client(temporal: TemporalServer) -> Client:
    client = await temporal.connect()
    assert await ensure_search_attributes(client)
    return client


async def test_who_waits_at_the_gate_is_told_from_who_waits_for_a_step_until_nobody_does(client: Client) -> None:
    gate, step = await waits(client, "counted-1", names.AT_GATE), await waits(client, "counted-2", "staging")
    async with told(client, "counted-1", "counted-3") as look:
        waiting: Told = {
            ("counted-1", "gate"): 1,
            ("counted-1", "step"): 0,
            ("counted-2", "gate"): 0,
            ("counted-2", "step"): 1,
        }
        await until(look, {**waiting, ("counted-3", "gate"): 0, ("counted-3", "step"): 0})
        await gate.terminate()
        await step.terminate()
        await until(look, dict.fromkeys(waiting, 0))


async def test_a_server_that_does_not_know_our_attributes_yet_is_asked_again() -> None:
    with temporal_server() as server:
        client = await server.connect()
        async with told(client, "shop") as look:
            await asyncio.sleep(5 * SOON.total_seconds())
            assert await look() == {}
            assert await ensure_search_attributes(client)
            await until(look, {("shop", "gate"): 0, ("shop", "step"): 0})
