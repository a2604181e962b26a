"""Abort and cancel before production is touched: at every step it stops cleanly, and nothing begins afterwards."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from runbook import names, steps
from runbook.status import Outcome, State, Status
from runbook.step import Step
from tests.projects import DIGEST, OLD_DIGEST
from tests.workflows.conftest import ORDER, Handle, LaneOfTests
from tests.workflows.crew import Crew, Hold

ASIDE = {steps.NOTIFY.name, steps.LEDGER.name}
BEFORE_PRODUCTION: list[Step[Any, Any]] = [
    *steps.PREREQUISITES,
    steps.VERIFY_COMMIT,
    steps.TAG,
    steps.PIPELINE_RUN,
    steps.PIPELINE_END,
    steps.VERIFY_ARTIFACT,
    steps.SCAN,
    steps.STAGE,
    steps.SMOKE_TEST,
    steps.PULL,
    steps.WAY_BACK,
]
named = pytest.mark.parametrize("step", BEFORE_PRODUCTION, ids=lambda step: step.name)


async def reach(lane: LaneOfTests, step: Step[Any, Any], hold: Hold) -> Handle:
    """A release whose step is held in its middle."""
    handle = await lane.start()
    if step in (steps.PULL, steps.WAY_BACK):
        await lane.at_gate(handle)
        await lane.approve(handle)
    async with asyncio.timeout(10):
        await hold.reached.wait()
    await alone(lane, handle, step)
    return handle


async def alone(lane: LaneOfTests, handle: Handle, *held: Step[Any, Any]) -> None:
    """Wait until nothing else runs: the test server gives up on cancelling what ends in the same moment."""
    names_held = {step.name for step in held}
    await lane.until(
        handle, lambda status: {row.name for row in status.rows if row.state is State.RUNNING} == names_held
    )


def begun(crew: Crew) -> list[str]:
    return [line for line in crew.happened if line.startswith("began") and line.split()[1].split("/")[0] not in ASIDE]


async def until_heard(lane: LaneOfTests, hold: Hold) -> None:
    async with asyncio.timeout(10):
        while not hold.cancelled:
            await asyncio.sleep(0.02)
    await lane.sleep(0.1)


@named
async def test_abort_stops_at_any_step(lane: LaneOfTests, step: Step[Any, Any]) -> None:
    hold = lane.crew.hold(step, stubborn=step.changes)
    handle = await reach(lane, step, hold)
    before = begun(lane.crew)
    await handle.signal(names.ABORT, {"by": "bob", "reason": "wrong commit"})
    if step.changes:
        # What may be changing something is heard out before anything else is done.
        await until_heard(lane, hold)
        assert (await lane.status(handle)).outcome is None
        hold.let_go.set()
    result = await lane.result(handle)
    assert (result.outcome, result.summary) == (Outcome.ABORTED, "aborted by bob: wrong commit")
    began = [line for line in begun(lane.crew) if line not in before]
    on_staging = step in (steps.STAGE, steps.SMOKE_TEST)
    assert {line.split("/")[0] for line in began} == ({"began put-staging-back"} if on_staging else set())
    begun_rows = [row for row in (await lane.status(handle)).rows if row.started]
    assert step.name in {row.name for row in begun_rows}
    assert {row.state for row in begun_rows} <= {State.STOPPED, State.DONE}
    assert all(row.finished for row in begun_rows)
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    [entry] = lane.crew.kept("outcome")
    assert (entry.outcome, entry.detail) == ("aborted", "aborted by bob: wrong commit")


async def ends_cancelled(handle: Handle) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_looks_are_cut_short_and_changes_are_not(lane: LaneOfTests) -> None:
    looks, changes = lane.crew.hold(steps.UAT), lane.crew.hold(steps.ON_CALL, stubborn=True)
    handle = await lane.start()
    await looks.reached.wait()
    await changes.reached.wait()
    await alone(lane, handle, steps.UAT, steps.ON_CALL)
    await handle.signal(names.ABORT, {"by": "bob"})
    await until_heard(lane, changes)
    await lane.until(handle, lambda status: _state(status, "uat") is State.STOPPED)
    assert _state(await lane.status(handle), "on-call-notified") is State.RUNNING
    changes.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert _state(await lane.status(handle), "on-call-notified") is State.DONE


def _state(status: Status, name: str) -> State:
    return next(row.state for row in status.rows if row.name == name)


@pytest.mark.parametrize("how", ["abort", "cancel"])
async def test_it_stops_at_the_gate(lane: LaneOfTests, how: str) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    if how == "abort":
        assert (await lane.decide(handle, {"decision": "abort", "by": "bob"})).why == "stopping"
        assert (await lane.result(handle)).summary == "aborted by bob: without a reason"
    else:
        await handle.cancel()
        await ends_cancelled(handle)
    status = await lane.status(handle)
    assert status.gate is not None
    assert not status.gate.open
    assert not lane.crew.count(steps.PULL)


async def test_an_abort_while_it_is_planned_stops_it_as_soon_as_it_is(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.PLAN)
    handle = await lane.start()
    await hold.reached.wait()
    assert (await lane.decide(handle, {"decision": "abort", "by": "bob", "reason": "typo"})).accepted
    hold.let_go.set()
    result = await lane.result(handle)
    assert (result.outcome, result.summary) == (Outcome.ABORTED, "aborted by bob: typo")
    assert begun(lane.crew) == ["began plan"]


async def test_a_cancel_while_it_is_planned_ends_it_at_once(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.PLAN)
    handle = await lane.start()
    await hold.reached.wait()
    await handle.cancel()
    await ends_cancelled(handle)
    assert (await lane.status(handle)).outcome is Outcome.ABORTED
    assert begun(lane.crew) == ["began plan"]


async def test_an_abort_before_the_first_task_stops_it(idle_lane: LaneOfTests) -> None:
    handle = await idle_lane.start()
    await handle.signal(names.ABORT, {"by": "bob"})
    async with idle_lane.working():
        assert (await idle_lane.result(handle)).outcome is Outcome.ABORTED
    assert begun(idle_lane.crew) == ["began plan"]


async def test_a_cancel_before_the_first_task_stops_it(idle_lane: LaneOfTests) -> None:
    handle = await idle_lane.start()
    await handle.cancel()
    async with idle_lane.working():
        await ends_cancelled(handle)
    assert set(begun(idle_lane.crew)) <= {"began plan"}


async def test_a_cancel_while_the_order_is_written_down_is_not_lost(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.LEDGER, stubborn=True)
    handle = await reach(lane, steps.UAT, lane.crew.hold(steps.UAT))
    assert hold.reached.is_set()
    await handle.cancel()
    await lane.until(handle, lambda status: status.outcome is Outcome.ABORTED)
    hold.let_go.set()
    await ends_cancelled(handle)
    assert [entry.action for entry in lane.crew.entries.values()] == ["release", "outcome"]


async def test_the_second_to_stop_it_is_told_who_was_first(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.TAG, stubborn=True)
    handle = await reach(lane, steps.TAG, hold)
    assert (await lane.decide(handle, {"decision": "abort", "by": "bob"})).accepted
    second = await lane.decide(handle, {"decision": "abort", "by": "alice"})
    assert (second.accepted, second.why) == (False, "it is stopping already, bob asked for it")
    hold.let_go.set()
    assert (await lane.result(handle)).summary.startswith("aborted by bob")


async def test_an_abort_and_a_cancel_together_end_it_once(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.TAG, stubborn=True)
    handle = await reach(lane, steps.TAG, hold)
    await handle.signal(names.ABORT, {"by": "bob"})
    await handle.cancel()
    await handle.cancel()
    await until_heard(lane, hold)
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert len(lane.crew.kept("outcome")) == 1


async def test_a_cancel_while_it_closes_changes_nothing_of_its_end(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    hold = lane.crew.hold(steps.LEDGER, stubborn=True)
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST})
    await lane.until(handle, lambda status: status.outcome is Outcome.REJECTED)
    for _ in range(3):
        await handle.cancel()
    await lane.sleep(1)
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.REJECTED
    assert [entry.outcome for entry in lane.crew.kept("outcome")] == ["rejected"]


async def test_the_lane_is_free_for_the_next_release_afterwards(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.ABORT, {"by": "bob"})
    await lane.result(handle)
    second = await lane.start(ORDER.model_copy(update={"version": "1.4.1"}))
    await lane.at_gate(second)
    await lane.approve(second)
    assert (await lane.result(second)).outcome is Outcome.RELEASED
