"""Whether a rollback is under way, by the server's word."""

import pytest
from temporalio.client import Client

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
