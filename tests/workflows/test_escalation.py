"""A step that needs a person: shown, told, reminded, and going on or ending as that person says."""

from datetime import timedelta

import pytest
from temporalio.common import SearchAttributeKey

from runbook import names, steps
from runbook.status import Outcome, State, Status
from runbook.trouble import Cause
from tests.projects import project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import failing

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def state_of(status: Status, key: str) -> State:
    return next(row.state for row in status.rows if row.key == key)


async def test_a_refused_step_waits_with_the_runbooks_line_and_retry_goes_on(lane: LaneOfTests) -> None:
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: protected tag", times=1, evidence=("! [rejected]",)))
    handle = await lane.start()
    status = await lane.in_need(handle)
    [need] = status.needs
    assert (need.step, need.cause, need.what) == ("tag", "PushRejected", "remote: protected tag")
    assert need.hint.startswith("Tag push rejected: likely branch protection or the wrong branch.")
    assert need.evidence == ["! [rejected]"]
    assert need.send == [
        f'temporal workflow signal --workflow-id release-shop --name {name} --input \'{{"by":"YOU","reason":"WHY"}}\''
        for name in ("retry", "abort")
    ]
    assert status.needs_person
    assert state_of(status, "tag") is State.NEEDS_PERSON
    board = await handle.query(names.BOARD)
    for word in ("A person is needed: tag", "remote: protected tag", need.hint, *need.send, "! [rejected]"):
        assert word in board

    await lane.sleep(60)
    assert lane.crew.count(steps.TAG) == 1
    verdict = await lane.decide(handle, {"decision": "retry", "by": "alice", "reason": "rule changed"})
    assert (verdict.accepted, verdict.why) == (True, "tag: tried again")
    status = await lane.at_gate(handle)
    assert status.needs == []
    assert state_of(status, "tag") is State.DONE
    assert lane.crew.count(steps.TAG) == 2
    assert [entry.outcome for entry in lane.crew.kept("retry")] == ["accepted"]


async def test_a_retry_has_fresh_attempts(lane: LaneOfTests) -> None:
    tries = steps.SCAN.retry.maximum_attempts
    lane.crew.at(steps.SCAN, failing(Cause.UNREACHABLE, "no answer", times=2 * tries - 1, final=False))
    handle = await lane.start()
    status = await lane.in_need(handle, step=5)
    assert lane.crew.count(steps.SCAN) == tries
    assert next(row.attempts for row in status.rows if row.key == "scan") == tries
    await handle.signal(names.RETRY, {"by": "alice"})
    status = await lane.at_gate(handle)
    assert lane.crew.count(steps.SCAN) == 2 * tries
    assert next(row.attempts for row in status.rows if row.key == "scan") == 2 * tries


async def test_a_step_that_fails_again_waits_again(lane: LaneOfTests) -> None:
    lane.crew.at(steps.SCAN, failing(Cause.COMMAND_FAILED, times=3))
    handle = await lane.start()
    for number in (1, 2, 3):
        await lane.until(handle, lambda status: bool(status.needs) and status.needs[0].number == number)  # noqa: B023 - awaited within the turn
        assert (await lane.decide(handle, {"decision": "retry", "by": "alice"})).accepted
    await lane.at_gate(handle)
    keys = [notice.key for notice in lane.crew.notices if notice.key.startswith("need/")]
    assert keys == ["need/1/0", "need/2/0", "need/3/0"]


async def test_retry_with_a_step_goes_on_with_that_one_only(lane: LaneOfTests) -> None:
    for step in (steps.CI_GREEN, steps.UAT):
        lane.crew.at(step, failing(Cause.REFUSED, times=1))
    lane.crew.at(steps.STAGING_HEALTHY, failing(Cause.UNHEALTHY, times=2))
    handle = await lane.start()
    await lane.in_need(handle, 4)
    refused = await lane.decide(handle, {"decision": "retry", "by": "alice", "step": "tag"})
    assert (refused.accepted, refused.why) == (False, "tag does not wait, so there is nothing to retry")
    assert (await lane.decide(handle, {"decision": "retry", "by": "alice", "step": "uat"})).why == "uat: tried again"
    status = await lane.until(handle, lambda status: len(status.needs) == 3)
    assert lane.crew.count(steps.UAT) == 2
    assert lane.crew.count(steps.CI_GREEN) == 1
    one = {"decision": "retry", "by": "alice", "step": "staging-healthy/staging-2"}
    assert (await lane.decide(handle, one)).why == "staging-healthy/staging-2: tried again"
    status = await lane.until(handle, lambda status: len(status.needs) == 2)
    assert state_of(status, "staging-healthy/staging-1") is State.NEEDS_PERSON
    rest = await lane.decide(handle, {"decision": "retry", "by": "alice"})
    assert rest.why in {
        "ci-green, staging-healthy/staging-1: tried again",
        "staging-healthy/staging-1, ci-green: tried again",
    }
    await lane.at_gate(handle)
    assert not (await lane.decide(handle, {"decision": "retry", "by": "alice"})).accepted


async def test_other_prerequisites_go_on_while_one_waits(lane: LaneOfTests) -> None:
    lane.crew.at(steps.CI_GREEN, failing(Cause.REFUSED, times=1))
    handle = await lane.start()
    status = await lane.in_need(handle)
    status = await lane.until(handle, lambda status: state_of(status, "uat") is State.DONE)
    assert lane.crew.count(steps.VERIFY_COMMIT) == 0
    assert status.stage == "prerequisites"


async def test_abort_ends_it_as_aborted(lane: LaneOfTests) -> None:
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED))
    handle = await lane.start()
    await lane.in_need(handle)
    assert (await lane.decide(handle, {"decision": "abort", "by": "bob", "reason": "wrong commit"})).accepted
    result = await lane.result(handle)
    assert (result.outcome, result.summary) == (Outcome.ABORTED, "aborted by bob: wrong commit")
    status = await lane.status(handle)
    assert status.needs == []
    assert state_of(status, "tag") is State.FAILED
    assert state_of(status, "pipeline-run") is State.WAITING
    assert not lane.crew.count(steps.PIPELINE_RUN)


async def test_roll_back_before_production_was_touched_is_refused(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PULL, failing(Cause.REFUSED, "no space left"), "production-2")
    handle = await lane.approved()
    status = await lane.in_need(handle)
    assert [send.split("--name ")[1].split()[0] for send in status.needs[0].send] == ["retry", "abort"]
    verdict = await lane.decide(handle, {"decision": "roll_back", "by": "bob"})
    assert (verdict.accepted, verdict.why) == (
        False,
        "production was not touched yet: send abort to stop the release",
    )
    assert (await lane.decide(handle, {"decision": "abort", "by": "bob"})).why == "stopping"
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert not lane.crew.count(steps.SWAP)
    assert not lane.crew.count(steps.PUT_BACK)


async def test_it_waits_exactly_as_long_as_the_project_allows(lane: LaneOfTests) -> None:
    lane.crew.project = project(wait={"person": "2d", "remind_every": "1h"})
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED))
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    assert need.until is not None
    assert need.until - need.since == timedelta(days=2)
    await lane.pass_until(need.until - SECOND)
    assert (await lane.status(handle)).needs
    result = await lane.result(handle)
    assert (result.outcome, result.summary) == (Outcome.ABORTED, "tag needed a person and nobody decided in 2 d")
    status = await lane.status(handle)
    assert status.finished is not None
    assert timedelta(0) <= status.finished - need.until < SECOND


async def test_on_call_is_told_at_once_and_reminded_at_the_interval_until_somebody_answers(lane: LaneOfTests) -> None:
    lane.crew.project = project(wait={"person": "1d", "remind_every": "30m"})
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: no", times=1))
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    await lane.pass_until(need.since + 1.75 * HOUR)
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    await lane.sleep(3 * HOUR)
    told = [done for done in lane.crew.of(steps.NOTIFY) if done.order.key.startswith("need/")]
    assert [round((done.at - need.since) / HOUR, 2) for done in told] == [0, 0.5, 1, 1.5]
    assert [done.order.title for done in told] == [
        "release-shop needs a person: tag",
        *["Reminder: release-shop needs a person: tag"] * 3,
    ]
    assert {done.order.to for done in told} == {"on_call"}
    for word in ("remote: no", need.hint, "seen", *need.send):
        assert word in told[0].order.body


async def test_a_notification_that_can_not_be_sent_is_noted_and_holds_nothing_up(lane: LaneOfTests) -> None:
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, times=1))
    lane.crew.at(steps.NOTIFY, failing(Cause.UNREACHABLE, "chat is down"))
    handle = await lane.start()
    await lane.in_need(handle)
    await lane.until(handle, lambda status: any("notify: chat is down" in said for said in status.messages))
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)


@pytest.fixture
async def searchable(lane: LaneOfTests) -> LaneOfTests:
    await lane.register_search_attributes()
    return lane


async def attributes(handle: Handle) -> tuple[str | None, str | None, bool | None]:
    found = (await handle.describe()).typed_search_attributes
    return (
        found.get(SearchAttributeKey.for_keyword(names.SEARCH_STAGE)),
        found.get(SearchAttributeKey.for_keyword(names.SEARCH_OUTCOME)),
        found.get(SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON)),
    )


async def test_search_attributes_tell_stage_outcome_and_whether_a_person_is_needed(searchable: LaneOfTests) -> None:
    lane = searchable
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, times=1))
    handle = await lane.start()
    await lane.in_need(handle)
    assert await attributes(handle) == ("tag", None, True)
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    assert await attributes(handle) == ("gate", None, True)
    await lane.approve(handle)
    await lane.result(handle)
    assert await attributes(handle) == ("done", "released", False)
    found = (await handle.describe()).typed_search_attributes
    assert found.get(SearchAttributeKey.for_keyword(names.SEARCH_PROJECT)) == "shop"
    assert found.get(SearchAttributeKey.for_keyword(names.SEARCH_VERSION)) == "1.4.0"


async def test_without_registered_search_attributes_none_is_set(lane: LaneOfTests) -> None:
    handle = await lane.approved()
    await lane.result(handle)
    assert await attributes(handle) == (None, None, None)
