"""Whether a lane is taken, by the server's word."""

from process.lane import is_running
from tests.servers import TemporalServer


async def test_a_lane_is_taken_from_the_start_of_a_run_to_its_end(temporal: TemporalServer) -> None:
    client = await temporal.connect()
    assert not await is_running(client, "lane-of-nobody")
    handle = await client.start_workflow("any", id="lane-of-somebody", task_queue="no-worker")
    assert await is_running(client, "lane-of-somebody")
    await handle.terminate()
    assert not await is_running(client, "lane-of-somebody")
