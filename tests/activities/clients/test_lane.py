"""Whether a rollback is under way, by the server's word."""

import asyncio

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from activities.clients.lane import Holder, TemporalLane
from activities.errors import Unreachable
from runbook import names
from tests.servers import TemporalServer, temporal_server


async def test_a_rollback_runs_from_its_start_to_its_end(temporal: TemporalServer) -> None:
    client = await temporal.connect()
    lane = TemporalLane(client)
    assert not await lane.rollback_running("lane-shop")
    handle = await client.start_workflow("any", id=names.rollback_lane("lane-shop"), task_queue="no-worker")
    assert await lane.rollback_running("lane-shop")
    await handle.terminate()
    assert not await lane.rollback_running("lane-shop")


async def test_a_release_in_the_lane_is_no_rollback(temporal: TemporalServer) -> None:
    client = await temporal.connect()
    await client.start_workflow("any", id=names.lane("lane-house"), task_queue="no-worker")
    assert not await TemporalLane(client).rollback_running("lane-house")


@workflow.defn(sandboxed=False)
class GoesOnOnce:
    @workflow.run
    async def run(self, is_first: bool) -> None:
        if is_first:
            workflow.continue_as_new(False)
        await workflow.wait_condition(lambda: False)


async def test_a_release_that_went_on_in_a_new_run_is_known_by_its_first(temporal: TemporalServer) -> None:
    """As the ledger's rows know it."""
    client = await temporal.connect()
    async with Worker(client, task_queue="anew", workflows=[GoesOnOnce]):
        first = await client.start_workflow("GoesOnOnce", True, id=names.lane("anew-shop"), task_queue="anew")
        lane = client.get_workflow_handle(first.id)
        async with asyncio.timeout(30):
            while (await lane.describe()).run_id == first.result_run_id:
                await asyncio.sleep(0.05)
        [holder] = await TemporalLane(client).holders("anew-shop")
        assert holder.first_run == first.result_run_id
        await lane.terminate()


async def test_a_server_that_is_away_is_worth_another_try() -> None:
    with temporal_server() as server:
        client: Client = await server.connect()
    with pytest.raises(Unreachable, match="release-shop-rollback"):
        await TemporalLane(client).rollback_running("shop")


async def test_what_holds_the_lane_is_told_with_its_kind(temporal: TemporalServer) -> None:
    client = await temporal.connect()
    lane = TemporalLane(client)
    assert await lane.holders("held-shop") == []
    release = await client.start_workflow("any", id=names.lane("held-shop"), task_queue="no-worker")
    rollback = await client.start_workflow("other", id=names.rollback_lane("held-shop"), task_queue="no-worker")
    assert await lane.holders("held-shop") == [
        Holder("release-held-shop", release.result_run_id or "", "any"),
        Holder("release-held-shop-rollback", rollback.result_run_id or "", "other"),
    ]
    await release.terminate()
    assert [holder.workflow_type for holder in await lane.holders("held-shop")] == ["other"]
