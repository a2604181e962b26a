"""What the workflow itself costs: a release whose steps are done in memory, on a real Temporal server."""

import time
import uuid

from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker

from process.runner import Runner
from runbook import names
from runbook.status import Status
from tests.bench.line import Line
from tests.bench.sequence import SEQUENCE, Sequence, nothing
from tests.projects import DIGEST
from tests.servers import TemporalServer, temporal_server
from tests.workflows.conftest import Handle
from tests.workflows.real_lane import RealLane

_TURNS = 3
_QUEUE = "sequence"


async def lines() -> list[Line]:
    with temporal_server() as server:
        ours, bare, count = await _measured(server)
    what = f"a release with steps that do nothing ({count} activities)"
    return [Line(what, ours, "a bare workflow with as many, in a row", bare)]


async def _measured(server: TemporalServer) -> tuple[float, float, int]:
    """The fastest of some turns, which nothing makes faster than its work; and how many activities a release schedules."""
    client, lane = await server.connect(), RealLane(server)
    bare = Worker(client, task_queue=_QUEUE, workflows=[Sequence], activities=[nothing], workflow_runner=Runner())
    ours, theirs, count = list[float](), list[float](), 0
    async with await lane.worker(), bare:
        for turn in range(_TURNS + 1):
            began = time.perf_counter()
            release = await _released(lane)
            took = time.perf_counter() - began
            count = await _scheduled(release)
            began = time.perf_counter()
            await client.execute_workflow(SEQUENCE, count, id=uuid.uuid4().hex, task_queue=_QUEUE)
            if turn:  # the first is for warming up
                ours.append(took)
                theirs.append(time.perf_counter() - began)
    return min(ours), min(theirs), count


async def _released(lane: RealLane) -> Handle:
    handle = await lane.start()
    await lane.until(handle, _at_gate)
    await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
    await handle.result()
    return handle


def _at_gate(status: Status) -> bool:
    return status.gate is not None and status.gate.open


async def _scheduled(handle: Handle) -> int:
    events = (await handle.fetch_history()).events
    return sum(event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED for event in events)
