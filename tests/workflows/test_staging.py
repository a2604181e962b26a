"""A candidate that staging did not pass makes room for what ran there before; one that passed stays."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from runbook import names, steps
from runbook.status import Outcome, State
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import Hold, failing

HOSTS = project().staging.hosts
ON_STAGING: list[Step[Any, Any]] = [steps.STAGE, steps.REHEARSE, steps.SMOKE_TEST]
at_each_step = pytest.mark.parametrize("step", ON_STAGING, ids=lambda step: step.name)


@pytest.fixture
def rehearsing(lane: LaneOfTests) -> LaneOfTests:
    lane.crew.project = project(staging={"rehearse_rollback": True})
    return lane


def returned(lane: LaneOfTests) -> list[str]:
    return sorted(done.host for done in lane.crew.of(steps.PUT_STAGING_BACK))


async def in_need_at(lane: LaneOfTests, step: Step[Any, Any]) -> Handle:
    lane.crew.at(step, failing(Cause.UNHEALTHY, "503"), HOSTS[0])
    handle = await lane.start()
    await lane.in_need(handle)
    return handle


@at_each_step
async def test_an_abort_of_what_staging_did_not_pass_returns_it(rehearsing: LaneOfTests, step: Step[Any, Any]) -> None:
    handle = await in_need_at(rehearsing, step)
    assert returned(rehearsing) == [], "whoever is asked must find it as it failed"
    await handle.signal(names.ABORT, {"by": "bob", "reason": "bad candidate"})
    result = await rehearsing.result(handle)
    assert (result.outcome, result.summary) == (Outcome.ABORTED, "aborted by bob: bad candidate")
    assert returned(rehearsing) == sorted(HOSTS)
    [order, *_] = [done.order for done in rehearsing.crew.of(steps.PUT_STAGING_BACK)]
    assert order.environment.container == "shop-staging"
    rows = [row for row in (await rehearsing.status(handle)).rows if row.name == steps.PUT_STAGING_BACK.name]
    assert [row.state for row in rows] == [State.DONE] * len(HOSTS)


@at_each_step
async def test_a_cancel_returns_it_too_and_cannot_cut_that_short(rehearsing: LaneOfTests, step: Step[Any, Any]) -> None:
    handle = await in_need_at(rehearsing, step)
    hold = rehearsing.crew.hold(steps.PUT_STAGING_BACK, HOSTS[0], stubborn=True)
    await handle.cancel()
    await rehearsing.until(handle, lambda _: hold.reached.is_set())
    await handle.cancel()
    await rehearsing.sleep(0.3)
    assert not hold.cancelled
    hold.let_go.set()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert returned(rehearsing) == sorted(HOSTS)
    assert (await rehearsing.status(handle)).outcome is Outcome.ABORTED


async def test_nobody_deciding_in_time_returns_it(lane: LaneOfTests) -> None:
    handle = await in_need_at(lane, steps.SMOKE_TEST)
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert returned(lane) == sorted(HOSTS)


async def test_an_end_before_staging_was_touched_leaves_it_alone(lane: LaneOfTests) -> None:
    lane.crew.at(steps.SCAN, failing(Cause.COMMAND_FAILED, "CVE-2026-1"))
    handle = await lane.start()
    await lane.in_need(handle)
    await handle.signal(names.ABORT, {"by": "bob"})
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert returned(lane) == []


async def test_a_candidate_that_passed_stays_for_people_to_look_at(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.REJECT, {"by": "alice", "digest": DIGEST})
    assert (await lane.result(handle)).outcome is Outcome.REJECTED
    assert returned(lane) == []


async def test_a_host_that_cannot_be_returned_holds_nothing_up_and_on_call_is_told(lane: LaneOfTests) -> None:
    handle = await in_need_at(lane, steps.SMOKE_TEST)
    lane.crew.at(steps.PUT_STAGING_BACK, failing(Cause.UNREACHABLE, "no route to host"), HOSTS[0])
    await handle.signal(names.ABORT, {"by": "bob"})
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert set(returned(lane)) == set(HOSTS)
    [notice] = lane.crew.told("staging needs repair")
    assert notice.to == "on_call"
    assert notice.body.startswith(f"{HOSTS[0]} could not be returned")


async def test_people_who_are_asked_about_the_smoke_test_see_the_service_s_log(lane: LaneOfTests) -> None:
    lane.crew.at(steps.SMOKE_TEST, failing(Cause.SMOKE_FAILED, "exit 1", evidence=("checkout: 500",)), HOSTS[0])
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    assert need.evidence == ["checkout: 500", f"{HOSTS[0]} logged:", "log line"]
    [logs] = lane.crew.of(steps.LOGS)
    assert (logs.host, logs.order.container_id) == (HOSTS[0], f"new-{HOSTS[0]}")
    assert logs.order.environment.container == "shop-staging"


async def test_a_smoke_test_tried_again_goes_on_to_the_gate(lane: LaneOfTests) -> None:
    handle = await in_need_at(lane, steps.SMOKE_TEST)
    lane.crew.at(steps.LOGS, failing(Cause.UNREACHABLE, "no route"))
    lane.crew.forget(steps.SMOKE_TEST, HOSTS[0])
    await handle.signal(names.RETRY, {"by": "bob"})
    await lane.at_gate(handle)
    assert returned(lane) == []


async def test_a_change_under_way_ends_before_staging_is_returned(lane: LaneOfTests) -> None:
    hold: Hold = lane.crew.hold(steps.STAGE, HOSTS[0], stubborn=True)
    handle = await lane.start()
    await lane.until(handle, lambda _: hold.reached.is_set())
    await handle.signal(names.ABORT, {"by": "bob"})
    await lane.until(handle, lambda _: hold.cancelled)
    assert returned(lane) == []
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert returned(lane) == sorted(HOSTS)
