"""Who sent what, by the history of a real Temporal server."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.clients.histories import TemporalHistories
from activities.errors import Unreachable
from activities.sender import SenderActivities
from runbook.message import ReleaseRef
from runbook.sender import IdentifiedSender, SenderToIdentify
from tests.activities.performing import perform
from tests.servers import TemporalServer, temporal_server


@workflow.defn(sandboxed=False)
class Listening:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def decide(self, payload: str) -> str:
        return payload


def ref(workflow_id: str, run_id: str) -> ReleaseRef:
    return ReleaseRef(
        project="shop", version="1.4.0", workflow_id=workflow_id, release=run_id, epoch=1, requested_by="carol"
    )


async def identified(client: Client, order: SenderToIdentify) -> IdentifiedSender:
    return await perform(SenderActivities(TemporalHistories(client)).identify, order)


async def as_(server: TemporalServer, identity: str) -> Client:
    return await Client.connect(server.address, identity=identity)


async def test_each_signal_is_traced_to_its_own_sender(temporal: TemporalServer) -> None:
    alice, mallory = await as_(temporal, "alice@desk"), await as_(temporal, "mallory@cellar")
    handle = await alice.start_workflow("any", id=f"sender-{uuid.uuid4()}", task_queue="no-worker")
    # The same word by two people: only its place among the signals of its name tells them apart.
    for client, name in ((mallory, "approve"), (alice, "reject"), (alice, "approve"), (mallory, "approve")):
        await client.get_workflow_handle(handle.id).signal(name, {"by": "alice"})
    about = ref(handle.id, handle.first_execution_run_id or "")
    found = [
        await identified(alice, SenderToIdentify(ref=about, message="signal", name=name, number=number))
        for name, number in (("approve", 1), ("approve", 2), ("approve", 3), ("reject", 1))
    ]
    assert [each.identity for each in found] == ["mallory@cellar", "alice@desk", "mallory@cellar", "alice@desk"]
    assert found[0].summary == "sent by mallory@cellar"
    assert all(abs(datetime.now(UTC) - each.at) < timedelta(minutes=1) for each in found)
    assert sorted(each.at for each in found[:3]) == [each.at for each in found[:3]]
    await handle.terminate()


async def test_an_update_is_traced_by_its_id(temporal: TemporalServer) -> None:
    alice, mallory = await as_(temporal, "alice@desk"), await as_(temporal, "mallory@cellar")
    queue = f"q-{uuid.uuid4()}"
    async with Worker(alice, task_queue=queue, workflows=[Listening], workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await alice.start_workflow(Listening.run, id=queue, task_queue=queue)
        await mallory.get_workflow_handle(queue).execute_update("decide", "yes", id="first")
        await alice.get_workflow_handle(queue).execute_update("decide", "yes", id="second")
        about = ref(queue, handle.first_execution_run_id or "")
        found = [
            await identified(alice, SenderToIdentify(ref=about, message="update", name="decide", update_id=update))
            for update in ("first", "second")
        ]
        assert [each.identity for each in found] == ["mallory@cellar", "alice@desk"]
        await handle.terminate()


async def test_what_the_history_does_not_show_is_looked_for_again(temporal: TemporalServer) -> None:
    alice = await as_(temporal, "alice@desk")
    handle = await alice.start_workflow("any", id=f"sender-{uuid.uuid4()}", task_queue="no-worker")
    await handle.signal("approve", {"by": "alice"})
    about = ref(handle.id, handle.first_execution_run_id or "")
    with pytest.raises(Unreachable, match="signal approve number 2"):
        await identified(alice, SenderToIdentify(ref=about, message="signal", name="approve", number=2))
    await handle.terminate()


async def test_a_server_that_is_away_is_worth_another_try() -> None:
    with temporal_server() as server:
        client = await as_(server, "alice@desk")
    order = SenderToIdentify(ref=ref("release-shop", "run"), message="signal", name="approve", number=1)
    with pytest.raises(Unreachable, match="does not show the history of release-shop"):
        await identified(client, order)
