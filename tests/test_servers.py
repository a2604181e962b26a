"""The tests' own Temporal server, on which others rely."""

from tests.servers import temporal_server


async def test_what_a_killed_server_was_told_is_known_to_the_next_one() -> None:
    with temporal_server() as server:
        for number in range(3):
            client = await server.connect()
            await client.start_workflow("any", id=f"run-{number}", task_queue="no-worker")
            server.restart()
        client = await server.connect()
        found = [await client.get_workflow_handle(f"run-{number}").describe() for number in range(3)]
    assert [run.id for run in found] == ["run-0", "run-1", "run-2"]
