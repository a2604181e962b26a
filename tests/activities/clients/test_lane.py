"""Whether a rollback is under way, by the server's word."""

import pytest
from temporalio.client import Client

from activities.clients.lane import TemporalLane
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
