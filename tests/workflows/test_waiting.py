"""Waiting for people costs nothing, and whoever floods the gate meanwhile gets little out of it."""

from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import EventType

from runbook import names, steps
from runbook.status import Outcome
from tests.projects import DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.signed import Signers

TIMERS = {EventType.EVENT_TYPE_TIMER_STARTED, EventType.EVENT_TYPE_TIMER_FIRED}
JUNK = 1000


async def count(lane: LaneOfTests, handle: Handle) -> int:
    return len(await lane.events(handle))


async def test_three_days_at_the_gate_add_nothing_to_history_but_timers(idle_lane: LaneOfTests) -> None:
    """Three workers, one after the other, none of which remembers anything."""
    lane = idle_lane
    lane.crew.project = project(gate={"remind_every": "0s", "expires_after": "7d"})
    async with lane.working(max_cached_workflows=0):
        handle = await lane.start()
        shown = await lane.at_gate(handle)
        await lane.until(handle, lambda _: any(notice.key == "gate/0" for notice in lane.crew.notices))
        await lane.sleep(60)
        before = await lane.events(handle)
    for _ in range(3):
        async with lane.working(max_cached_workflows=0):
            await lane.sleep(timedelta(days=1))
            status = await lane.status(handle)
            assert status.gate == shown.gate
    added = (await lane.events(handle))[len(before) :]
    assert {event.event_type for event in added} <= TIMERS
    assert len(added) <= 2
    async with lane.working():
        await lane.approve(handle)
        assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_a_thousand_junk_signals_leave_the_history_bounded_and_the_gate_in_order(lane: LaneOfTests) -> None:
    lane.crew.project = project(gate={"remind_every": "0s"})
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.sleep(60)
    before, performed = await count(lane, handle), len(lane.crew.log)
    for number in range(JUNK):
        await handle.signal(names.APPROVE, {"by": f"mallory{number}", "digest": DIGEST})
    status = await lane.until(handle, lambda status: status.gate is not None and status.gate.refused == JUNK)
    added, activities = await count(lane, handle) - before, len(lane.crew.log) - performed
    assert activities < 60, "30 refusals are kept each, in batches; one alarm and its sender"
    # Each signal is an event, and at most one workflow task of three; each activity adds at most six.
    assert added <= JUNK * 4 + activities * 6
    assert status.gate is not None
    assert len(status.gate.refusals) == 20
    assert len(status.messages) <= 50
    await lane.approve(handle)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    [outcome] = lane.crew.kept("outcome")
    assert f"{JUNK - 30} more messages were refused" in outcome.detail


async def test_a_flood_of_wrong_signatures_is_looked_at_with_measure_and_the_right_one_still_counts(
    lane: LaneOfTests, tmp_path: Path
) -> None:
    signers = Signers(lane, tmp_path)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    wrong = signers.approval(status, key="mallory")
    refusals = [await lane.decide(handle, wrong) for _ in range(120)]
    assert not any(verdict.accepted for verdict in refusals)
    looked = lane.crew.count(steps.VERIFY_SIGNATURE)
    assert 50 <= looked < 70
    assert "too many wrong signatures" in refusals[-1].why
    await lane.sleep(13)
    assert (await lane.decide(handle, signers.approval(status))).accepted
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
