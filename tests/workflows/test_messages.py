"""Whatever is sent: it never breaks a run, it is shown with what was wrong, and the gate can be passed afterwards."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from runbook import names, steps
from runbook.status import Outcome, Status
from tests.projects import DIGEST
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import Hold
from tests.workflows.shapes import GOOD, WRONG

BY_SIGNAL = (*names.SIGNALS, "aprove")


async def send_all_wrong(lane: LaneOfTests, handle: Handle) -> None:
    """Every shape to every signal and to the update; each is shown on the board and kept out of everything else."""
    before = await lane.status(handle)
    for shape, payloads in WRONG.items():
        for name in BY_SIGNAL:
            await handle.signal(name, args=payloads)
        verdict = await lane.decide(handle, *payloads)
        assert not verdict.accepted, shape
        status = await lane.status(handle)
        newest = status.messages[-len(BY_SIGNAL) - 1 :]
        # The server may put an update before the signals that came just before it.
        heard = sorted(message.split("not understood: ")[1].split(":")[0] for message in newest)
        assert heard == sorted((*BY_SIGNAL, names.DECIDE)), (shape, newest)
        assert max(map(len, newest)) <= 600
    after = await lane.status(handle)
    assert len(after.messages) + after.unheard == len(before.messages) + before.unheard + (len(BY_SIGNAL) + 1) * len(
        WRONG
    )
    assert _untouched(before) == _untouched(after)
    board = await handle.query(names.BOARD)
    assert "not understood: decide: " in board
    assert len(board) < 20_000


def _untouched(status: Status) -> dict[str, object]:
    return status.model_dump(exclude={"messages", "unheard"})


async def passes_the_gate(lane: LaneOfTests, handle: Handle) -> None:
    await lane.at_gate(handle)
    await lane.approve(handle)
    # Payloads of 1 MB make the history so long that the gate may go on in a new run.
    assert (await lane.result(await lane.last(handle))).outcome is Outcome.RELEASED


async def test_wrong_shapes_while_a_step_runs_change_nothing(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.UAT)
    handle = await lane.start()
    await hold.reached.wait()
    await lane.until(handle, lambda status: len(lane.crew.happened) > 18)
    await send_all_wrong(lane, handle)
    hold.let_go.set()
    await passes_the_gate(lane, handle)


async def test_wrong_shapes_at_the_gate_change_nothing(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.until(handle, lambda status: lane.crew.count(steps.LEDGER) > 1)
    await send_all_wrong(lane, handle)
    await passes_the_gate(lane, handle)


async def test_wrong_shapes_before_the_first_task_change_nothing(idle_lane: LaneOfTests) -> None:
    handle = await idle_lane.start()
    for payloads in WRONG.values():
        for name in BY_SIGNAL:
            await handle.signal(name, args=payloads)
    updates = [asyncio.create_task(idle_lane.decide(handle, *payloads)) for payloads in list(WRONG.values())[:5]]
    await asyncio.sleep(0.2)
    async with idle_lane.working():
        for verdict in await asyncio.gather(*updates):
            assert not verdict.accepted
        status = await idle_lane.status(handle)
        assert len(status.messages) + status.unheard >= len(WRONG) * len(BY_SIGNAL)
        await passes_the_gate(idle_lane, handle)


async def test_wrong_shapes_while_it_closes_change_nothing(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    hold = Hold()
    lane.crew.at(steps.LEDGER, hold)
    await handle.signal(names.REJECT, GOOD)
    await lane.until(handle, lambda status: status.outcome is Outcome.REJECTED)
    await hold.reached.wait()
    for name in (names.ABORT, names.ROLL_BACK, names.RETRY):
        verdict = await lane.decide(handle, {"decision": name, "by": "alice"})
        assert (verdict.accepted, verdict.why) == (False, "it has ended already")
    await send_all_wrong(lane, handle)
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.REJECTED


async def test_wrong_shapes_to_a_rollback_change_nothing(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.RETURN, "production-2")
    handle = await lane.start_rollback()
    await hold.reached.wait()
    await lane.until(handle, lambda status: lane.crew.count(steps.LEDGER) > 0)
    await lane.until(handle, lambda status: status.rows[2].finished is not None)
    await lane.until(handle, lambda status: status.rows[6].finished is not None)
    await send_all_wrong(lane, handle)
    hold.let_go.set()
    assert (await handle.result())["outcome"] == "rolled_back"


async def test_what_comes_after_the_end_is_answered_by_temporal(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.REJECT, GOOD)
    await lane.result(handle)
    for payloads in ([], [GOOD], ["x"]):
        with pytest.raises(RPCError):
            await handle.signal(names.APPROVE, args=payloads)
        with pytest.raises((RPCError, WorkflowUpdateFailedError)):
            await handle.execute_update(names.DECIDE, args=payloads)
    assert (await lane.status(handle)).outcome is Outcome.REJECTED


async def test_the_answer_says_what_to_send_instead(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    for sent, why in (
        ([], "came without an object"),
        (["yes"], 'takes one JSON object, not "yes"'),
        ([GOOD, GOOD], "takes one JSON object, not 2 values"),
        ([{"decision": "sure", **GOOD}], '"decision" is one of approve, reject, retry, abort, roll_back'),
        ([{"decision": "approve", "by": "alice"}], "digest: Field required"),
        ([{"decision": "approve", **GOOD, "force": 1}], "force: no such field"),
    ):
        verdict = await lane.decide(handle, *sent)
        assert why in verdict.why
        assert verdict.why.endswith('; send {"decision": "approve", "by": "alice", "digest": "sha256:…"}')


async def test_a_thousand_junk_signals_keep_the_history_bounded(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    for number in range(1000):
        await handle.signal(names.APPROVE if number % 2 else "junk", f"junk {number}")
    assert not (await lane.decide(handle, "last")).accepted
    await handle.signal(names.APPROVE, {"by": "mallory", "digest": DIGEST})
    await passes_the_gate(lane, handle)
    refused = [entry for entry in lane.crew.entries.values() if entry.outcome == "refused"]
    assert len(refused) == 30
    [outcome] = lane.crew.kept("outcome")
    assert outcome.detail.endswith("(972 more messages were refused)")
    assert lane.crew.count(steps.LEDGER) <= 40
    status = await lane.status(handle)
    assert len(status.messages) == 50
