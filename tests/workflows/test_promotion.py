"""Production: canary first, batch by batch, each healthy before the next; all or previous everywhere."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from activities.interceptor import StepInterceptor
from runbook import names, steps
from runbook.plan import GoodVersion
from runbook.service import WayBack
from runbook.status import Outcome, State
from runbook.step import Step
from runbook.trouble import Cause
from runbook.way_back import RanBefore
from tests.activities.keeping import Kept
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import answering, failing

FIRST, SECOND, THIRD = "production-1", "production-2", "production-3"
HOSTS = [FIRST, SECOND, THIRD]


async def test_the_canary_goes_alone_and_every_batch_is_healthy_before_the_next(lane: LaneOfTests) -> None:
    lane.crew.project = project(production={"batch_size": 2})
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    began = lane.crew.happened.index
    canary_is_healthy = began(f"ended {steps.HEALTH.name}/{FIRST}")
    for host in (SECOND, THIRD):
        assert began(f"began {steps.SWAP.name}/{host}") > canary_is_healthy
    assert began(f"began {steps.SWAP.name}/{THIRD}") < began(f"ended {steps.HEALTH.name}/{SECOND}"), "one batch"


async def test_between_batches_it_pauses_as_long_as_the_project_says(lane: LaneOfTests) -> None:
    lane.crew.project = project(production={"pause": "10m"})
    handle = await lane.approved()
    await handle.result()
    starts = [lane.crew.of(steps.SWAP, host)[0].at for host in HOSTS]
    gaps = [(after - before) for before, after in itertools.pairwise(starts)]
    assert all(timedelta(minutes=10) <= gap < timedelta(minutes=11) for gap in gaps), gaps


@pytest.mark.parametrize("step", [steps.SWAP, steps.HEALTH])
async def test_an_unhealthy_second_host_returns_what_was_touched_and_stops_the_rest(
    lane: LaneOfTests, step: Step[Any, Any]
) -> None:
    lane.crew.at(step, failing(Cause.UNHEALTHY, "health answers 500"), SECOND)
    handle = await lane.approved()
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "health answers 500" in result.summary
    assert sorted(done.host for done in lane.crew.of(steps.PUT_BACK)) == [FIRST, SECOND]
    assert lane.crew.count(steps.SWAP, THIRD) == 0
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert lane.crew.count(steps.RECORD) == 0
    assert lane.crew.count(steps.LOGS, SECOND) == 1, "the container's log is fetched before it is removed"
    assert lane.crew.told("rolling back")
    await lane.assert_unbroken()


@pytest.mark.parametrize("step", [steps.VERIFY, steps.SOAK])
async def test_a_late_failure_returns_every_host(lane: LaneOfTests, step: Step[Any, Any]) -> None:
    # The time-skipping server does not know what to make of a cancellation that meets an end: the others go on.
    for host in (FIRST, SECOND):
        lane.crew.hold(step, host)
    lane.crew.at(step, failing(Cause.UNHEALTHY, "3 failures in 1 min"), THIRD if step is steps.VERIFY else "")
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert sorted(done.host for done in lane.crew.of(steps.PUT_BACK)) == HOSTS
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}


async def test_trouble_that_is_not_ill_health_asks_and_retry_goes_on(lane: LaneOfTests) -> None:
    lane.crew.at(steps.SWAP, failing(Cause.UNREACHABLE, "no route to host", times=1), SECOND)
    handle = await lane.approved()
    status = await lane.in_need(handle)
    assert (status.needs[0].step, status.needs[0].host) == (steps.SWAP.name, SECOND)
    assert any(names.ROLL_BACK in line for line in status.needs[0].send)
    await handle.signal(names.RETRY, {"by": "bob"})
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert set(lane.crew.fleet.values()) == {DIGEST}


async def test_a_project_that_wants_to_be_asked_is_asked_before_production_returns(lane: LaneOfTests) -> None:
    lane.crew.project = project(production={"on_unhealthy": "ask"})
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), SECOND)
    handle = await lane.approved()
    await lane.in_need(handle)
    assert lane.crew.count(steps.PUT_BACK) == 0
    await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "enough"})
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "enough" in result.summary


async def test_who_does_not_answer_in_promotion_gets_production_returned(lane: LaneOfTests) -> None:
    lane.crew.at(steps.SWAP, failing(Cause.UNREACHABLE), SECOND)
    handle = await lane.approved()
    await lane.in_need(handle)
    await lane.sleep(lane.crew.project.wait.person + timedelta(seconds=1))
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}


@pytest.mark.parametrize("step", [steps.SWAP, steps.HEALTH, steps.RECORD, steps.VERIFY, steps.SOAK])
@pytest.mark.parametrize("how", [names.ABORT, names.ROLL_BACK, "cancel"])
async def test_whoever_stops_it_in_promotion_gets_production_returned(
    lane: LaneOfTests, step: Step[Any, Any], how: str
) -> None:
    hold = lane.crew.hold(step, stubborn=step.changes)
    handle = await lane.approved()
    await hold.reached.wait()
    if how == "cancel":
        await handle.cancel()
    else:
        await handle.signal(how, {"by": "bob", "reason": "checkout fails"})
    if step.changes:
        await lane.sleep(1)
        hold.let_go.set()
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert sum(entry.outcome == "rolled_back" for entry in lane.crew.kept("outcome")) >= 1
    await lane.assert_unbroken()


async def test_a_change_under_way_ends_before_anything_is_done_about_it(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.SWAP, FIRST, stubborn=True)
    handle = await lane.approved()
    await hold.reached.wait()
    await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "now"})
    await lane.sleep(2)
    assert lane.crew.count(steps.PUT_BACK) == 0
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    happened = lane.crew.happened.index
    assert happened(f"began {steps.PUT_BACK.name}/{FIRST}") > happened(f"ended {steps.SWAP.name}/{FIRST}")


async def test_a_swap_that_was_cancelled_is_in_the_ledger_before_its_host_is_put_back(idle_lane: LaneOfTests) -> None:
    kept, hold = Kept(), idle_lane.crew.hold(steps.SWAP, SECOND)
    async with idle_lane.working(interceptors=[StepInterceptor(kept)]):
        handle = await idle_lane.approved()
        await hold.reached.wait()
        await handle.signal(names.ABORT, {"by": "bob", "reason": "checkout fails"})
        assert (await idle_lane.result(handle)).outcome is Outcome.ROLLED_BACK
    changes = {steps.PULL.name, steps.SWAP.name, steps.PUT_BACK.name}
    rows = [row for row in kept.entries if row.place == SECOND and row.action in changes]
    assert [(row.action, row.outcome) for row in rows] == [
        ("pull", "done"),
        ("swap", "cancelled"),
        ("put-back", "done"),
    ]
    assert rows[1].detail.startswith("its run asked it to end; ")


async def test_a_fleet_that_was_mixed_before_returns_to_the_last_good_version(lane: LaneOfTests) -> None:
    good = GoodVersion(version="1.3.0", digest=OLD_DIGEST, released_at="2026-01-01T00:00:00Z")
    other = "sha256:" + "d" * 64
    lane.crew.last_good = good
    lane.crew.at(
        steps.WAY_BACK,
        answering(WayBack(host=FIRST, container_id="cut-short", image_id="i", digest=other, version="1.3.9")),
        FIRST,
    )
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), SECOND)
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    put_back = lane.crew.of(steps.PUT_BACK, FIRST)[0].order.way_back
    assert (put_back.container_id, put_back.digest) == (None, OLD_DIGEST)
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}


async def test_a_first_release_tells_what_every_host_ran_before(lane: LaneOfTests) -> None:
    first = await lane.result(await lane.approved())
    assert first.ran_before == RanBefore(version="1.3.0", digest=OLD_DIGEST)


@pytest.mark.parametrize(
    "found",
    [
        WayBack(host=SECOND, container_id="other", digest=DIGEST, version="1.3.9"),
        WayBack(host=SECOND, container_id="unknown", image_id="i"),
        WayBack(host=SECOND),
    ],
)
async def test_hosts_that_ran_different_ones_leave_a_first_release_nothing_to_tell(
    lane: LaneOfTests, found: WayBack
) -> None:
    lane.crew.at(steps.WAY_BACK, answering(found), SECOND)
    result = await lane.result(await lane.approved())
    assert (result.outcome, result.ran_before) == (Outcome.RELEASED, None)


async def test_the_board_tells_what_was_not_reached(lane: LaneOfTests) -> None:
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), SECOND)
    handle = await lane.approved()
    await handle.result()
    status = await lane.status(handle)
    states = {row.key: row.state for row in status.rows}
    assert states[f"{steps.HEALTH.name}/{SECOND}"] is State.FAILED
    assert states[f"{steps.SWAP.name}/{THIRD}"] is State.WAITING
