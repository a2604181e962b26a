"""What is kept of a run besides its steps: who decided what, and how it ended; in its order, each once."""

import asyncio
import itertools
from datetime import timedelta

from runbook import names, steps
from runbook.status import Outcome
from runbook.trouble import Cause
from tests.projects import DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import failing, never


async def test_a_release_keeps_its_order_its_gate_its_decisions_and_its_outcome(lane: LaneOfTests) -> None:
    lane.crew.project = project(gate={"approvals": 2})
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.approve(handle, by="mallory")
    await lane.approve(handle, by="alice")
    await handle.signal(names.APPROVE, {"by": "bob", "digest": DIGEST, "comment": "looks good"})
    await lane.result(handle)
    entries = [entry for entry in lane.crew.entries.values() if entry.outcome != "sent"]
    assert [(entry.actor, entry.action, entry.outcome) for entry in entries] == [
        ("carol", "release", "ordered"),
        ("worker", "gate", "opened"),
        ("mallory", "approve", "refused"),
        ("alice", "approve", "accepted"),
        ("bob", "approve", "accepted"),
        ("alice, bob", "gate", "approved"),
        ("worker", "outcome", "released"),
    ]
    assert entries[0].detail == "weekly"
    assert entries[4].detail == "approved: promotion begins; said: looks good"
    assert {entry.digest for entry in entries[1:]} == {DIGEST}
    assert {entry.version for entry in entries} == {"1.4.0"}
    assert entries[-1].evidence == ["alice", "bob"]
    assert entries[-1].detail == "v1.4.0 runs on production-1, production-2, production-3"
    assert len({entry.event for entry in lane.crew.entries.values()}) == len(lane.crew.entries)


async def test_the_approval_is_written_before_production_is_touched(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.until(handle, lambda status: lane.crew.kept("gate") != [])
    hold = lane.crew.hold(steps.LEDGER)
    await lane.approve(handle)
    await hold.reached.wait()
    await lane.sleep(1)
    assert not lane.crew.count(steps.PULL)
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_rows_are_written_in_their_order_however_often_it_takes(lane: LaneOfTests) -> None:
    lane.crew.at(steps.LEDGER, failing(Cause.UNREACHABLE, "locked", times=3, final=False), after=True)
    handle = await lane.approved()
    await lane.result(handle)
    events = [entry.event.rpartition("/")[2] for entry in lane.crew.entries.values()]
    assert events == [str(number + 1) for number in range(len(events))]


async def test_a_ledger_that_refuses_is_shown_and_asked_again_until_it_writes(lane: LaneOfTests) -> None:
    lane.crew.at(steps.LEDGER, failing(Cause.BROKEN, "the chain is broken at row 7", times=4))
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    status = await lane.status(handle)
    note = "the ledger can't be written, tried again until it can: "
    assert sum(f"{note}Broken: the chain is broken at row 7" in said for said in status.messages) == 4
    at = [done.at for done in lane.crew.of(steps.LEDGER)][:5]
    pauses = [round((b - a) / timedelta(minutes=1)) for a, b in itertools.pairwise(at)]
    assert pauses == [1, 2, 4, 8]


async def test_a_run_ends_only_when_its_outcome_is_written(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.until(handle, lambda status: lane.crew.kept("gate") != [])
    hold = lane.crew.hold(steps.LEDGER)
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST})
    await lane.until(handle, lambda status: status.outcome is Outcome.REJECTED)
    await lane.sleep(1)
    description = await handle.describe()
    assert description.close_time is None
    hold.let_go.set()
    await lane.result(handle)
    assert [entry.outcome for entry in lane.crew.kept("outcome")] == ["rejected"]


async def test_a_notice_of_the_outcome_that_hangs_holds_the_lane_for_three_minutes_at_most(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    lane.crew.at(steps.NOTIFY, never)
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST})
    status = await lane.until(handle, lambda status: status.outcome is Outcome.REJECTED)
    assert status.finished is not None
    # The clock does not skip while an activity hangs: the timer that ends the wait is what is looked at.
    async with asyncio.timeout(10):
        while timedelta(minutes=3) not in await _timers(lane, handle):
            await asyncio.sleep(0.02)


async def _timers(lane: LaneOfTests, handle: Handle) -> set[timedelta]:
    return {
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in await lane.events(handle)
        if event.HasField("timer_started_event_attributes")
    }


async def test_a_notice_that_fails_at_first_is_sent_before_the_run_ends(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    lane.crew.at(steps.NOTIFY, failing(Cause.UNREACHABLE, "chat is down", times=6, final=False))
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "not today"})
    await lane.result(handle)
    assert lane.crew.told("shop 1.4.0: rejected", "rejected by bob: not today")


async def test_a_message_s_name_is_its_sender_s_choice_and_no_row_s(lane: LaneOfTests) -> None:
    """Who reads the ledger by the names of steps must not read what strangers sent."""
    handle = await lane.start()
    await lane.at_gate(handle)
    for name in ("way-back", "outcome", "aprove"):
        await handle.signal(name, "please")
    await handle.signal(names.APPROVE, "please")
    await lane.approve(handle)
    await lane.result(handle)
    refused = [entry for entry in lane.crew.entries.values() if entry.outcome == "refused"]
    assert [entry.action for entry in refused] == ["message", "message", "message", "approve"]
    assert refused[0].detail.startswith("not understood: way-back: ")


async def test_control_characters_of_a_comment_do_not_reach_the_ledger(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    comment = "fine\x00\x1b[2J\u202e"
    await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST, "comment": comment})
    await lane.result(handle)
    [given] = [entry for entry in lane.crew.kept("approve") if entry.outcome == "accepted"]
    assert given.detail.endswith("said: fine  [2J ")
