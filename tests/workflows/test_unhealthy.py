"""What an unhealthy production leads to: people told with what was seen, and nobody asked to do the same twice."""

from datetime import timedelta

import pytest

from runbook import names, steps
from runbook.status import Outcome
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST, project
from tests.workflows.conftest import ROLLBACK_OF_SHOP, LaneOfTests
from tests.workflows.crew import failing


@pytest.mark.parametrize("cause", [Cause.CONTAINER_EXITED, Cause.UNHEALTHY, Cause.WRONG_VERSION])
async def test_an_unhealthy_second_host_returns_exactly_the_touched_ones(lane: LaneOfTests, cause: Cause) -> None:
    lane.crew.at(steps.HEALTH, failing(cause, "503 for 5 min"), "production-2")
    result = await lane.result(await lane.approved())
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.summary == (
        "health on production-2: 503 for 5 min; "
        "production-1, production-2 returned; postmortem https://git.example.net/issues/9"
    )
    assert {done.host for done in lane.crew.of(steps.PUT_BACK)} == {"production-1", "production-2"}
    assert [done.host for done in lane.crew.of(steps.SWAP)] == ["production-1", "production-2"]
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert not lane.crew.effects[steps.RECORD.name]
    assert lane.crew.effects[steps.POSTMORTEM.name] == 1


async def test_people_are_told_what_was_seen_and_the_postmortem_has_it_in_its_order(lane: LaneOfTests) -> None:
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503", evidence=("GET /health 503",)), "production-1")
    await lane.result(await lane.approved())
    [logs] = lane.crew.of(steps.LOGS)
    assert (logs.host, logs.order.container_id) == ("production-1", "new-production-1")
    [told, *_] = lane.crew.told("rolling back production", "health on production-1: 503")
    assert {"GET /health 503", "log line"} <= set(told.body.splitlines())
    [postmortem] = lane.crew.of(steps.POSTMORTEM)
    assert postmortem.order.reason == "health on production-1: 503"
    assert postmortem.order.evidence == ["GET /health 503", "log line"]
    timeline = postmortem.order.timeline
    assert any("Create and push the release tag" in line for line in timeline)
    assert any("Put back what ran before on production-1" in line for line in timeline)
    assert timeline == sorted(timeline, key=lambda line: line[:19])


async def test_logs_that_can_not_be_had_hold_up_nothing(lane: LaneOfTests) -> None:
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), "production-1")
    lane.crew.at(steps.LOGS, failing(Cause.UNREACHABLE, "no route", final=False))
    result = await lane.result(await lane.approved())
    assert result.outcome is Outcome.ROLLED_BACK
    [failed] = lane.crew.of(steps.HEALTH, "production-1")
    assert lane.crew.of(steps.PUT_BACK)[0].at - failed.at < timedelta(seconds=30)


async def test_where_the_project_wants_to_be_asked_it_waits_for_retry(lane: LaneOfTests) -> None:
    lane.crew.project = project(production={"on_unhealthy": "ask"})
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, times=1), "production-2")
    handle = await lane.approved()
    [need] = (await lane.in_need(handle)).needs
    assert [send.split("--name ")[1].split()[0] for send in need.send] == ["retry", "roll_back"]
    await lane.sleep(3600)
    assert not lane.crew.count(steps.PUT_BACK)
    await handle.signal(names.RETRY, {"by": "alice"})
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert lane.crew.count(steps.SWAP, "production-2") == 1
    assert lane.crew.count(steps.HEALTH, "production-2") == 2


async def test_where_the_project_wants_to_be_asked_a_broken_soak_asks_too(lane: LaneOfTests) -> None:
    lane.crew.project = project(production={"on_unhealthy": "ask"}, wait={"person": "2h"})
    lane.crew.at(steps.SOAK, failing(Cause.UNHEALTHY))
    handle = await lane.approved()
    [need] = (await lane.in_need(handle)).needs
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.summary.startswith("soak needed a person and nobody decided in 2 h; ")
    assert lane.crew.of(steps.PUT_BACK)[0].at - need.since >= timedelta(hours=2)


async def test_what_stops_it_while_it_returns_is_refused_and_changes_nothing(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.PUT_BACK, "production-1", stubborn=True)
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), "production-1")
    handle = await lane.approved()
    await hold.reached.wait()
    for name in (names.ABORT, names.ROLL_BACK):
        verdict = await lane.decide(handle, {"decision": name, "by": "bob"})
        assert (verdict.accepted, verdict.why) == (
            False,
            f"production is being rolled back already; only an abort sent to {ROLLBACK_OF_SHOP} gives that up",
        )
    retry = await lane.decide(handle, {"decision": "retry", "by": "bob"})
    assert retry.why == f"production is being rolled back by {ROLLBACK_OF_SHOP}: send it there"
    await handle.cancel()
    await lane.sleep(1)
    hold.let_go.set()
    result = await lane.result(handle)
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.summary.startswith("health on production-1")
    assert lane.crew.fleet["production-1"] == OLD_DIGEST
