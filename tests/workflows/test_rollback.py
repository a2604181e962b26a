"""Rollbacks: every host for itself, for as long as it takes, whatever is cancelled, and then one postmortem."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.status import Outcome, RollbackResult
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import away_for, failing

FIRST, SECOND, THIRD = "production-1", "production-2", "production-3"


async def failed_in_soak(lane: LaneOfTests) -> Handle:
    """A release whose soak breaks: all three hosts were touched."""
    lane.crew.at(steps.SOAK, failing(Cause.UNHEALTHY, "3 failures in 1 min"))
    return await lane.approved()


async def test_a_host_that_is_away_for_six_hours_is_put_right_when_it_returns(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PUT_BACK, away_for(timedelta(hours=6)), SECOND)
    handle = await failed_in_soak(lane)
    await lane.until(lane.child, lambda status: status.stage == "rollback")
    await lane.sleep(60)
    assert lane.crew.fleet[FIRST] == lane.crew.fleet[THIRD] == OLD_DIGEST, "the others were back at once"
    assert lane.crew.fleet[SECOND] != OLD_DIGEST
    await lane.sleep(timedelta(hours=6, minutes=2))
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert lane.crew.fleet[SECOND] == OLD_DIGEST
    told = lane.crew.told("still to be put back", SECOND)
    assert 5 <= len(told) <= 8, "people are told, and reminded every hour"
    history = await lane.events(lane.child)
    assert len(history) < 200, f"hours of retries cost no history, {len(history)} events do"


async def test_neither_cancelling_nor_ending_the_release_stops_its_rollback(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.PUT_BACK, SECOND)
    handle = await failed_in_soak(lane)
    await hold.reached.wait()
    for _ in range(3):
        await handle.cancel()
        await lane.child.cancel()
    await handle.terminate("the laptop died")
    hold.let_go.set()
    result = RollbackResult.model_validate(await lane.child.result())
    assert result.outcome is Outcome.ROLLED_BACK
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert lane.crew.effects["postmortem"] <= 1
    assert lane.crew.count(steps.POSTMORTEM) == 1
    await lane.assert_unbroken()


@pytest.mark.parametrize("step", [steps.PUT_BACK, steps.PUT_BACK_HEALTH, steps.POSTMORTEM])
async def test_cancelled_at_any_step_it_goes_on_to_its_end(lane: LaneOfTests, step: Step[Any, Any]) -> None:
    hold = lane.crew.hold(step, "" if step is steps.POSTMORTEM else FIRST)
    handle = await failed_in_soak(lane)
    await hold.reached.wait()
    await lane.child.cancel()
    await lane.sleep(1)
    assert not hold.cancelled, "the step under way did not even hear of it"
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert lane.crew.count(steps.POSTMORTEM) == 1


async def test_a_forge_that_is_down_holds_up_no_host_and_the_issue_follows(lane: LaneOfTests) -> None:
    lane.crew.at(steps.POSTMORTEM, away_for(timedelta(hours=2)))
    handle = await failed_in_soak(lane)
    await lane.until(lane.child, lambda status: status.stage == "postmortem")
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    await lane.sleep(timedelta(hours=2, minutes=10))
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "issues/" in result.summary


async def test_what_ran_before_and_is_ill_now_asks_without_a_limit(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PUT_BACK_HEALTH, failing(Cause.UNHEALTHY, "still 500", times=1), SECOND)
    handle = await failed_in_soak(lane)
    status = await lane.in_need(lane.child)
    assert status.needs[0].until is None
    await lane.sleep(timedelta(days=10))
    await lane.child.signal(names.RETRY, {"by": "bob", "reason": "mended"})
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK


async def test_it_is_given_up_only_by_a_person_and_then_says_so(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PUT_BACK, failing(Cause.REFUSED, "the image is lost"), SECOND)
    handle = await failed_in_soak(lane)
    await lane.in_need(lane.child)
    await lane.until_ended(lane.child, steps.RECORD_HOST, times=2)
    await lane.child.signal(names.ABORT, {"by": "bob", "reason": "rebuilt by hand"})
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "RollbackGivenUp"
    assert "rebuilt by hand" in str(failed.value.cause)


@pytest.mark.parametrize(("asked", "version"), [(None, "1.3.0"), ("1.2.0", "1.2.0")])
async def test_by_hand_every_host_returns_to_the_good_version(
    lane: LaneOfTests, asked: str | None, version: str
) -> None:
    handle = await lane.start_rollback(to_version=asked)
    result = RollbackResult.model_validate(await handle.result())
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.version == version
    assert sorted(done.host for done in lane.crew.of(steps.RETURN)) == [FIRST, SECOND, THIRD]
    assert {done.order.image.version for done in lane.crew.of(steps.RETURN)} == {version}
    assert lane.crew.count(steps.POSTMORTEM) == 1
    assert [entry.outcome for entry in lane.crew.kept("outcome")] == ["rolled_back"]


async def test_by_hand_no_host_waits_for_another(lane: LaneOfTests) -> None:
    lane.crew.at(steps.RETURN, away_for(timedelta(hours=1)), FIRST)
    handle = await lane.start_rollback()
    await lane.until(handle, lambda _: lane.crew.count(steps.PUT_BACK_HEALTH) == 2)
    await lane.sleep(timedelta(hours=1, minutes=2))
    assert RollbackResult.model_validate(await handle.result()).outcome is Outcome.ROLLED_BACK
