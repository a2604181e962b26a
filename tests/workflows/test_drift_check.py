"""Drift checks on the time-skipping server: side by side, told once, and silent about what a release does."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.drift_check import DriftCheckPlan, DriftReport, DriftVerdict, StandingDrift
from runbook.host_drift import drifts
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import answering, failing
from tests.workflows.findings import RECORDED, drift_plan, host_record, host_state_of
from tests.workflows.shapes import WRONG

SECOND = "production-2"
STOPPED = host_state_of(SECOND, state="exited")
[STOPPED_DRIFT] = drifts(host_record(SECOND), STOPPED)
STANDING = StandingDrift(key=STOPPED_DRIFT.key, host=SECOND, what=STOPPED_DRIFT.what, since=RECORDED)


async def started(lane: LaneOfTests, order: Any = None, workflow_id: str = "drift-shop") -> Handle:
    told = {"project": "shop", "requested_by": "alice"} if order is None else order
    return await lane.client.start_workflow(names.DRIFT_WORKFLOW, told, id=workflow_id, task_queue=lane.queue)


async def checked(lane: LaneOfTests, *plans: DriftCheckPlan) -> DriftReport:
    if plans:
        lane.crew.at(steps.PLAN_DRIFT_CHECK, answering(*plans))
    return DriftReport.model_validate(await (await started(lane)).result())


async def refusal(handle: Handle) -> str:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "OrderRefused"
    return cause.message


def rows(lane: LaneOfTests) -> list[tuple[str, str, list[str]]]:
    return [(entry.place, entry.outcome, entry.evidence) for entry in lane.crew.kept("host-drift")]


async def test_without_drift_nobody_is_told_and_nothing_is_kept(lane: LaneOfTests) -> None:
    report = await checked(lane)
    assert report.verdict is DriftVerdict.AS_RECORDED
    assert [host.host for host in report.hosts] == ["production-1", SECOND, "production-3"]
    assert lane.crew.performed() == {steps.PLAN_DRIFT_CHECK.name: 1, steps.INSPECT_HOST.name: 3}
    assert (lane.crew.entries, lane.crew.notices) == ({}, [])


async def test_the_hosts_are_looked_at_side_by_side(lane: LaneOfTests) -> None:
    holds = [lane.crew.hold(steps.INSPECT_HOST, host) for host in ("production-1", SECOND, "production-3")]
    handle = await started(lane)
    async with asyncio.timeout(10):
        await asyncio.gather(*(hold.reached.wait() for hold in holds))
    assert "being looked for" in await handle.query(names.BOARD)
    for hold in holds:
        hold.let_go.set()
    await handle.result()


async def test_drift_is_told_to_on_call_on_the_issue_and_in_the_ledger(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    report = await checked(lane)
    assert report.verdict is DriftVerdict.DRIFTED
    assert report.new == [STOPPED_DRIFT.key]
    [notice] = lane.crew.told("production is no longer what v1.4.0 left", "container shop is exited")
    assert (notice.to, report.notice) == ("on_call", notice.key)
    [comment] = lane.crew.of(steps.COMMENT_DRIFT)
    assert [standing.key for standing in comment.order.standing] == [STOPPED_DRIFT.key]
    assert report.comment.endswith("#comment-1")
    assert rows(lane) == [(SECOND, "found", [STOPPED_DRIFT.key])]


async def test_drift_that_was_told_is_not_told_again(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    report = await checked(lane, drift_plan(standing=[STANDING], told=1))
    assert (report.verdict, report.new) == (DriftVerdict.DRIFTED, [])
    assert lane.crew.count(steps.NOTIFY) == lane.crew.count(steps.COMMENT_DRIFT) == lane.crew.count(steps.LEDGER) == 0


async def test_only_what_is_new_is_told_and_the_issue_says_all_of_it(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    lane.crew.at(steps.INSPECT_HOST, answering(host_state_of("production-3", restarts=1)), "production-3")
    await checked(lane, drift_plan(standing=[STANDING], told=1))
    [notice] = lane.crew.notices
    assert "production-3: restarted 1 times" in notice.body
    assert SECOND not in notice.body
    [comment] = lane.crew.of(steps.COMMENT_DRIFT)
    since = {standing.host: standing.since for standing in comment.order.standing}
    assert since[SECOND] == RECORDED
    assert since["production-3"] > RECORDED
    assert [(place, outcome) for place, outcome, _ in rows(lane)] == [("production-3", "found")]


async def test_what_is_gone_is_kept_and_said_on_the_issue_and_wakes_nobody(lane: LaneOfTests) -> None:
    report = await checked(lane, drift_plan(standing=[STANDING], told=1))
    assert (report.verdict, report.gone) == (DriftVerdict.AS_RECORDED, [STANDING.key])
    assert lane.crew.notices == []
    [comment] = lane.crew.of(steps.COMMENT_DRIFT)
    assert comment.order.standing == []
    assert rows(lane) == [(SECOND, "gone", [STANDING.key])]


async def test_drift_of_a_host_that_is_silent_now_is_not_taken_as_gone(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, failing(Cause.UNREACHABLE, "no route to host"), SECOND)
    report = await checked(lane, drift_plan(standing=[STANDING], told=1))
    assert (report.verdict, report.gone, lane.crew.entries) == (DriftVerdict.UNKNOWN, [], {})
    [silent] = [host for host in report.hosts if host.host == SECOND]
    assert silent.said == ["no route to host"]


async def test_a_silent_host_hides_no_other_one(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, failing(Cause.UNREACHABLE, "no route to host", final=False), "production-1")
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    report = await checked(lane)
    assert [host.verdict for host in report.hosts] == [
        DriftVerdict.UNKNOWN,
        DriftVerdict.DRIFTED,
        DriftVerdict.AS_RECORDED,
    ]
    assert len(lane.crew.notices) == 1


async def test_while_production_is_changed_it_says_so_and_cries_no_wolf(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    report = await checked(lane, drift_plan(under_way="a release is changing production as release-shop"))
    assert (report.verdict, report.drifts) == (DriftVerdict.UNDER_WAY, [])
    assert "a release is changing production" in report.summary
    assert (lane.crew.notices, lane.crew.entries) == ([], {})


async def test_a_release_that_begins_while_hosts_are_looked_at_is_no_drift(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    under_way = drift_plan(under_way="a release is changing production as release-shop")
    report = await checked(lane, drift_plan(), under_way)
    assert (report.verdict, lane.crew.notices) == (DriftVerdict.UNDER_WAY, [])
    assert lane.crew.count(steps.INSPECT_HOST, SECOND) == 2


async def test_a_release_that_ended_meanwhile_is_what_is_compared_with(lane: LaneOfTests) -> None:
    states = [
        host_state_of(host, container_id=f"later-{host}", digest=OLD_DIGEST, digests=[OLD_DIGEST])
        for host in ("production-1", SECOND, "production-3")
    ]
    for state in states:
        lane.crew.at(steps.INSPECT_HOST, answering(state), state.host)
    records = [host_record(state.host, container_id=state.container_id, digest=OLD_DIGEST) for state in states]
    later = drift_plan(records=records, digest=OLD_DIGEST, version="1.5.0")
    report = await checked(lane, drift_plan(), later)
    assert (report.verdict, report.version, lane.crew.notices) == (DriftVerdict.AS_RECORDED, "1.5.0", [])


async def test_a_notice_that_nobody_got_is_told_by_the_next_check(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    lane.crew.at(steps.NOTIFY, failing(Cause.CREDENTIALS, "no such address"))
    report = await checked(lane)
    assert "no such address; the next check tells it again" in report.notes[0]
    assert rows(lane) == [(SECOND, "untold", [STOPPED_DRIFT.key])]


async def test_an_issue_that_can_not_be_reached_holds_up_neither_notice_nor_ledger(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    lane.crew.at(steps.COMMENT_DRIFT, failing(Cause.UNREACHABLE, "the forge is away"))
    report = await checked(lane)
    assert (len(lane.crew.notices), report.comment) == (1, "")
    assert "the forge is away" in report.notes[0]
    assert [outcome for _, outcome, _ in rows(lane)] == ["found"]


async def test_two_checks_that_find_the_same_are_one_notice_and_one_row(lane: LaneOfTests) -> None:
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    for workflow_id in ("drift-shop", "drift-shop-2026-11-22T10:00:00Z"):
        await (await started(lane, workflow_id=workflow_id)).result()
    sent = [performed.order for performed in lane.crew.of(steps.NOTIFY)]
    assert len(sent) == 2
    assert sent[0].once == sent[1].once != ""
    assert len(rows(lane)) == 1


async def test_the_search_attributes_say_what_was_found(lane: LaneOfTests) -> None:
    await lane.register_search_attributes()
    lane.crew.at(steps.INSPECT_HOST, answering(STOPPED), SECOND)
    handle = await started(lane)
    await handle.result()
    told = {pair.key.name: pair.value for pair in (await handle.describe()).typed_search_attributes}
    assert told == {"RunbookProject": "shop", "RunbookVersion": "1.4.0", "RunbookOutcome": "drifted"}


async def test_what_was_found_can_be_queried_afterwards(lane: LaneOfTests) -> None:
    handle = await started(lane)
    result = await handle.result()
    assert await handle.query(names.STATUS) == result
    assert "as recorded" in await handle.query(names.BOARD)


async def test_nothing_recorded_is_refused_in_one_line(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PLAN_DRIFT_CHECK, failing(Cause.REFUSED, "no release of shop is recorded in the ledger"))
    assert await refusal(await started(lane)) == "no release of shop is recorded in the ledger"


@pytest.mark.parametrize("workflow_id", ["release-shop", "drift-shopping", "drift-other"])
async def test_a_check_in_the_lane_or_under_another_name_is_refused(lane: LaneOfTests, workflow_id: str) -> None:
    said = await refusal(await started(lane, workflow_id=workflow_id))
    assert "start it with workflow ID 'drift-shop'" in said
    assert lane.crew.log == []


async def test_every_wrong_order_is_refused_at_once(lane: LaneOfTests) -> None:
    for shape, payloads in WRONG.items():
        handle = await lane.client.start_workflow(
            names.DRIFT_WORKFLOW, args=payloads, id="drift-shop", task_queue=lane.queue
        )
        assert "\n" not in await refusal(handle), shape
    assert lane.crew.log == []


async def test_a_cancelled_check_ends(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.INSPECT_HOST, SECOND)
    handle = await started(lane)
    await hold.reached.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert lane.crew.notices == []
