"""What each host is left with is recorded at the end of every change that ends well, and holds none of them up."""

import pytest

from runbook import names, steps
from runbook.status import Outcome
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import failing

HOSTS = ("production-1", "production-2", "production-3")


def recorded(lane: LaneOfTests) -> dict[str, str | None]:
    return {done.host: done.order.digest for done in lane.crew.of(steps.RECORD_HOST)}


async def test_a_release_records_every_host_after_the_soak(lane: LaneOfTests) -> None:
    await lane.result(await lane.approved())
    assert recorded(lane) == dict.fromkeys(HOSTS, DIGEST)
    calls = [step for step, _ in lane.crew.calls]
    assert calls.index(steps.RECORD_HOST.name) > calls.index(steps.SOAK.name)


async def test_a_host_that_can_not_be_recorded_is_noted_and_released_all_the_same(lane: LaneOfTests) -> None:
    lane.crew.at(steps.RECORD_HOST, failing(Cause.UNREACHABLE, "no route to host"), "production-2")
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    status = await lane.status(handle)
    assert any("record-host on production-2: no route to host" in message for message in status.messages)
    assert not status.needs


async def test_a_failed_release_leaves_the_records_to_its_rollback(lane: LaneOfTests) -> None:
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503 for 5 min"), "production-2")
    await lane.result(await lane.approved())
    assert recorded(lane) == {"production-1": OLD_DIGEST, "production-2": OLD_DIGEST}
    assert {done.order.ref.workflow_id for done in lane.crew.of(steps.RECORD_HOST)} == {names.rollback_lane("shop")}


async def test_a_rollback_by_hand_records_every_host(lane: LaneOfTests) -> None:
    await (await lane.start_rollback()).result()
    assert recorded(lane) == dict.fromkeys(HOSTS, OLD_DIGEST)


@pytest.mark.parametrize("how", ["cancel", "abort"])
async def test_who_stops_it_while_it_records_gets_production_returned(lane: LaneOfTests, how: str) -> None:
    lane.crew.project = project(production={"hosts": ["production-1"]})
    hold = lane.crew.hold(steps.RECORD_HOST, "production-1")
    handle = await lane.approved()
    await hold.reached.wait()
    lane.crew.forget(steps.RECORD_HOST, "production-1")
    if how == "cancel":
        await handle.cancel()
    else:
        await handle.signal(names.ABORT, {"by": "bob", "reason": "checkout fails"})
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert lane.crew.fleet == {"production-1": OLD_DIGEST, "production-2": OLD_DIGEST, "production-3": OLD_DIGEST}
