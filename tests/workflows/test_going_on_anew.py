"""A gate that waits for weeks goes on in a new run before its history grows: the same release, in every respect."""

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from activities.clients.histories import TemporalHistories
from activities.sender import SenderActivities
from process.runner import Runner
from runbook import names, steps
from runbook.continuation import Continuation
from runbook.status import Outcome, Status
from tests.projects import DIGEST, project
from tests.servers import TemporalServer
from tests.workflows.brief_release import LONGEST, BriefRelease
from tests.workflows.conftest import ORDER, Handle, LaneOfTests
from tests.workflows.crew import Crew
from tests.workflows.signed import Signers
from workflows.rollback import RollbackWorkflow

JUNK = 1000
DAY = timedelta(days=1)
# What arrives while the last messages are heard, and what is under way then and has to end first.
SLACK = 150


@pytest.fixture
def brief_lane(idle_lane: LaneOfTests) -> LaneOfTests:
    idle_lane.release = BriefRelease
    return idle_lane


async def runs(lane: LaneOfTests, handle: Handle) -> list[Handle]:
    """Every run of this release, the first one first; from the last one back, for each names the one before."""
    found, run_id = list[Handle](), (await handle.describe()).run_id
    while run_id:
        found.insert(0, lane.client.get_workflow_handle(handle.id, run_id=run_id))
        [started, *_] = await lane.events(found[0])
        run_id = started.workflow_execution_started_event_attributes.continued_execution_run_id
    return found


async def flood(handle: Handle, count: int = JUNK) -> None:
    for number in range(count):
        await handle.signal(names.APPROVE, {"by": f"mallory{number}", "digest": DIGEST})


async def until_anew(lane: LaneOfTests, handle: Handle) -> None:
    """Junk, until the gate is in another run than the first."""
    for _ in range(50):
        await flood(handle, 10)
        await lane.sleep(1)
        if await lane.went_on(handle):
            return
    raise AssertionError("it never went on in a new run")


async def test_weeks_of_reminders_and_a_thousand_junk_signals_go_by_in_bounded_runs(
    brief_lane: LaneOfTests, tmp_path: Path
) -> None:
    lane = brief_lane
    signers = Signers(lane, tmp_path)
    signers.gate(approvals=2, expires_after="30d", remind_every="12h")
    async with lane.working():
        handle = await lane.start()
        opened = await lane.at_gate(handle)
        assert (await lane.decide(handle, signers.approval(opened, "alice"))).accepted
        for _ in range(20):
            await flood(handle, JUNK // 20)
            await lane.sleep(DAY)
        status = await lane.until(handle, lambda status: status.gate is not None and status.gate.refused == JUNK)
        assert same_gate(status) == same_gate(opened)
        # Made for the first run, sent to the last.
        assert (await lane.decide(handle, signers.approval(opened, "bob"))).accepted
        result = await lane.result(await lane.last(handle))
    assert (result.outcome, result.approvers) == (Outcome.RELEASED, ["alice", "bob"])
    lengths = [len(await lane.events(run)) for run in await runs(lane, handle)]
    assert len(lengths) > 5, lengths
    assert max(lengths) < 2 * (LONGEST + SLACK), lengths
    only_one_release(lane, opened)
    told_once(lane, days=20)


def same_gate(status: Status) -> Any:
    """What must not change while it waits."""
    assert status.gate is not None
    rows = [row.model_dump() for row in status.rows]
    kept = {"refused", "refusals", "approvals"}
    return status.run_id, status.started, status.digest, rows, status.gate.model_dump(exclude=kept)


def only_one_release(lane: LaneOfTests, opened: Status) -> None:
    """Every step before and after knows it by one name; nothing was done again, and the ledger goes on counting."""
    assert {(done.order.ref.release, done.order.ref.epoch) for done in lane.crew.log} == {
        (opened.run_id, lane.crew.log[0].order.ref.epoch)
    }
    once = (steps.PLAN, steps.TAG, steps.SCAN, steps.RECORD, steps.SOAK)
    assert [lane.crew.count(step) for step in once] == [1] * len(once)
    numbers = [int(event.rpartition("/")[2]) for event in lane.crew.entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(lane.crew.kept("outcome")) == 1
    assert lane.crew.kept("outcome")[0].detail.endswith(f"({JUNK - 30} more messages were refused)")


def told_once(lane: LaneOfTests, *, days: int) -> None:
    """The approvers when it opened and every 12 hours, on-call of mallory at most every ten minutes."""
    gate = [notice for notice in lane.crew.notices if notice.key.startswith("gate/")]
    assert [notice.key for notice in gate] == [f"gate/{number}" for number in range(len(gate))]
    assert len(gate) - 1 in {days * 2 - 1, days * 2}
    # A reminder is logged as the notice that it is.
    sent = [done for done in lane.crew.of(steps.NOTIFY) if done.order.key.startswith("gate/")]
    gaps = {after.at - before.at for before, after in itertools.pairwise(sent)}
    assert all(abs(gap - DAY / 2) < timedelta(minutes=1) for gap in gaps), gaps
    alarms = [notice.key for notice in lane.crew.notices if notice.key.startswith("suspicious/")]
    assert alarms == [f"suspicious/{number + 1}" for number in range(len(alarms))]
    assert len(alarms) == 20


async def test_the_sender_is_looked_for_in_the_run_that_the_message_came_to(brief_lane: LaneOfTests) -> None:
    lane = brief_lane
    lane.crew.at(steps.IDENTIFY_SENDER, SenderActivities(TemporalHistories(lane.client)).identify)
    async with lane.working():
        handle = await lane.start()
        await lane.at_gate(handle)
        await until_anew(lane, handle)
        await lane.approve(handle)
        assert (await lane.result(await lane.last(handle))).outcome is Outcome.RELEASED
        status = await lane.status(handle)
    assert status.gate is not None
    assert [given.sender for given in status.gate.approvals] == [lane.client.identity]


async def test_it_expires_when_it_said_it_would(brief_lane: LaneOfTests) -> None:
    lane = brief_lane
    lane.crew.project = project(gate={"expires_after": "10d"})
    async with lane.working():
        handle = await lane.start()
        opened = await lane.at_gate(handle)
        await until_anew(lane, handle)
        result = await lane.result(await lane.last(handle))
        ended = await lane.status(handle)
    assert result.outcome is Outcome.EXPIRED
    assert opened.gate is not None
    assert ended.finished is not None
    assert timedelta(0) <= ended.finished - opened.gate.expires < timedelta(minutes=1)


@pytest.mark.parametrize("how", ["abort", "cancel", "reject"])
async def test_the_new_run_hears_what_the_first_would_have_heard(brief_lane: LaneOfTests, how: str) -> None:
    lane = brief_lane
    async with lane.working(max_cached_workflows=0):
        handle = await lane.start()
        await lane.at_gate(handle)
        await until_anew(lane, handle)
    # Nobody works: the message is there before the new run's first task in this worker.
    if how == "cancel":
        await handle.cancel()
    elif how == "abort":
        await handle.signal(names.ABORT, {"by": "bob", "reason": "wrong commit"})
    else:
        await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "no"})
    async with lane.working(max_cached_workflows=0):
        if how == "cancel":
            with pytest.raises(WorkflowFailureError):
                await (await lane.last(handle)).result()
        else:
            await (await lane.last(handle)).result()
        status = await lane.status(handle)
    assert status.outcome is (Outcome.REJECTED if how == "reject" else Outcome.ABORTED)
    assert not lane.crew.count(steps.PULL)
    assert len(lane.crew.kept("outcome")) == 1


async def test_a_run_that_a_schedule_starts_again_takes_nothing_along(
    idle_lane: LaneOfTests, temporal: TemporalServer
) -> None:
    """Temporal gives it its starter's words once more, and names a run before it: it is no continuation."""
    forged, crew, client = await taken_along(idle_lane), Crew(), await temporal.connect()
    async with Worker(
        client,
        task_queue="scheduled",
        workflows=[BriefRelease, RollbackWorkflow],
        activities=crew.activities(),
        workflow_runner=Runner(),
    ):
        handle: Handle = await client.start_workflow(
            names.RELEASE_WORKFLOW, forged, id=names.lane("shop"), task_queue="scheduled", cron_schedule="@every 1s"
        )
        again = client.get_workflow_handle(handle.id)
        async with asyncio.timeout(30):
            while (run := await again.describe()).run_id == handle.result_run_id:
                await asyncio.sleep(0.1)
            second = client.get_workflow_handle(handle.id, run_id=run.run_id)
            while (await second.describe()).status is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(0.1)
        await again.terminate()
    [started, *_, ended] = [event async for event in second.fetch_history_events()]
    assert started.workflow_execution_started_event_attributes.continued_execution_run_id
    failure = ended.workflow_execution_failed_event_attributes.failure
    assert failure.application_failure_info.type == "OrderRefused"
    assert crew.log == []


async def taken_along(lane: LaneOfTests) -> dict[str, Any]:
    """What a real release took along, as anybody can read it in Temporal and send it again."""
    lane.release = BriefRelease
    async with lane.working():
        handle = await lane.start()
        await lane.at_gate(handle)
        await until_anew(lane, handle)
        [_, second, *_] = await runs(lane, handle)
        [first, *_] = await lane.events(second)
        await handle.terminate()
    lane.crew.log.clear()
    payload = first.workflow_execution_started_event_attributes.input.payloads[0]
    return Continuation.model_validate_json(payload.data).model_dump(mode="json")


async def test_what_was_taken_along_is_no_order(idle_lane: LaneOfTests) -> None:
    forged = await taken_along(idle_lane)
    async with idle_lane.working():
        handle = await idle_lane.start(forged)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert "OrderRefused" in str(failed.value.cause)
    assert idle_lane.crew.log == []


async def test_a_run_that_temporal_would_start_again_stays_as_it_is(brief_lane: LaneOfTests) -> None:
    lane = brief_lane
    async with lane.working():
        handle = await lane.start(ORDER, retry_policy=RetryPolicy(maximum_attempts=2))
        await lane.at_gate(handle)
        await flood(handle, LONGEST)
        assert (await handle.describe()).history_length > LONGEST + SLACK
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        assert len(await runs(lane, handle)) == 1
        await lane.approve(handle)
        assert (await lane.result(handle)).outcome is Outcome.RELEASED
