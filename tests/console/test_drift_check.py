"""Drift at the operator's terminal, on a real Temporal server: the check, its exit status, and the schedule."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy

from console import drift_check
from console.exit_status import ExitStatus
from console.refusal import Refusal
from console.session import Work
from runbook import names, steps
from runbook.trouble import Cause
from tests.operators import Operator, Said
from tests.workflows.crew import answering, failing
from tests.workflows.findings import drift_plan, host_state_of

STOPPED = host_state_of("production-2", state="exited")


def prepare(operator: Operator, every: str | None = None) -> Work:
    return drift_check.check(operator.project, by="alice", every=every)


async def checked(operator: Operator, *, every: str | None = None, json: bool = False) -> Said:
    return await operator.does(lambda: prepare(operator, every), json=json)


async def until_run(operator: Operator, number: int) -> list[str]:
    """The workflow IDs of the schedule's runs, once there are so many."""
    handle = operator.client.get_schedule_handle(names.drift_check(operator.project))
    async with asyncio.timeout(60):
        while True:
            actions = (await handle.describe()).info.recent_actions
            if len(actions) >= number:
                started = [action.action for action in actions]
                return [each.workflow_id for each in started if isinstance(each, ScheduleActionExecutionStartWorkflow)]
            await asyncio.sleep(0.1)


async def test_production_as_it_was_left_is_a_good_end(operator: Operator) -> None:
    said = await checked(operator)
    assert said.status == ExitStatus.GOOD, said.err
    for part in ("as recorded", "production-3", "v1.4.0 sha256:aaaaaaaaaaaa", "same", "no schedule checks"):
        assert part in said.out
    assert said.err == ""


async def test_drift_has_an_exit_status_of_its_own_and_says_what_differs(operator: Operator) -> None:
    operator.crew.at(steps.INSPECT_HOST, answering(STOPPED), "production-2")
    said = await checked(operator)
    assert (said.status, ExitStatus.DRIFTED.value) == (8, 8)
    for part in ("drifted", "container shop is exited, not running", "on-call was told", "#comment-1"):
        assert part in said.out


async def test_drift_that_was_told_before_is_shown_as_that(operator: Operator) -> None:
    operator.crew.at(steps.INSPECT_HOST, answering(STOPPED), "production-2")
    key = "production-2/not-up/exited"
    standing = {"key": key, "host": "production-2", "what": "exited", "since": "yesterday"}
    operator.crew.at(steps.PLAN_DRIFT_CHECK, answering(drift_plan(standing=[standing], told=1)))
    said = await checked(operator)
    assert (said.status, operator.crew.notices) == (ExitStatus.DRIFTED, [])
    assert "on-call was told by an earlier check" in said.out


async def test_a_host_that_is_silent_is_unknown_and_no_good_end(operator: Operator) -> None:
    operator.crew.at(steps.INSPECT_HOST, failing(Cause.UNREACHABLE, "no route to host"), "production-2")
    said = await checked(operator)
    assert (said.status, ExitStatus.UNKNOWN.value) == (9, 9)
    assert "no route to host" in said.out


async def test_while_a_release_changes_production_it_is_going_on(operator: Operator) -> None:
    operator.crew.at(steps.INSPECT_HOST, answering(STOPPED), "production-2")
    under_way = "a release is changing production as release-shop"
    operator.crew.at(steps.PLAN_DRIFT_CHECK, answering(drift_plan(under_way=under_way)))
    said = await checked(operator)
    assert said.status == ExitStatus.GOING_ON
    assert f"not counted as drift: {under_way}" in said.out


async def test_json_is_the_report_with_schedule_and_exit_status(operator: Operator) -> None:
    said = await checked(operator, json=True)
    assert len(said.out.splitlines()) == 1
    assert (said.data["verdict"], said.data["schedule"], said.data["exit_status"]) == ("as_recorded", None, 0)
    assert [host["host"] for host in said.data["hosts"]] == ["production-1", "production-2", "production-3"]


@pytest.mark.parametrize("every", [None, "1h"])
async def test_what_a_worker_refuses_is_one_line_and_switches_no_schedule_on(
    operator: Operator, every: str | None
) -> None:
    operator.crew.at(steps.PLAN_DRIFT_CHECK, failing(Cause.REFUSED, "there is no project 'shop': …"))
    said = await checked(operator, every=every)
    assert said.status == ExitStatus.REFUSED
    assert said.err.splitlines() == ["there is no project 'shop': …"]
    off = await operator.does(lambda: drift_check.switch_off(operator.project, None), json=True)
    assert off.data["was_on"] is False


@pytest.mark.parametrize(
    ("every", "why"), [("soon", "not a length of time"), ("30s", "1m is the shortest"), ("90d", "less than or equal")]
)
async def test_an_interval_that_makes_no_sense_is_refused_before_anything_starts(
    idle: Operator, every: str, why: str
) -> None:
    with pytest.raises(Refusal, match=why):
        prepare(idle, every)


def test_on_and_off_at_once_is_refused() -> None:
    with pytest.raises(Refusal, match="give one of them"):
        drift_check.switch_off("shop", "1h")


def test_a_name_that_is_no_project_is_refused() -> None:
    with pytest.raises(Refusal, match="not a project name"):
        drift_check.check("Shop!", by="alice", every=None)


async def test_without_a_worker_it_says_so_and_the_next_one_gets_its_answer(idle: Operator) -> None:
    said = await checked(idle)
    assert said.status == ExitStatus.GOING_ON
    assert f"no worker polls the task queue {idle.queue}" in said.err
    async with idle.working():
        again = await checked(idle)
    assert again.status == ExitStatus.GOOD
    assert idle.crew.count(steps.PLAN_DRIFT_CHECK) == 1, "the check that waited is the one that was asked again"


async def test_a_check_holds_no_lane(operator: Operator) -> None:
    hold = operator.crew.hold(steps.INSPECT_HOST, "production-1")
    checking = asyncio.create_task(checked(operator))
    await hold.reached.wait()
    handle = await operator.client.start_workflow(
        names.RELEASE_WORKFLOW,
        {"project": operator.project, "version": "1.4.0", "requested_by": "carol"},
        id=names.lane(operator.project),
        task_queue=operator.queue,
    )
    await operator.until_the_gate()
    hold.let_go.set()
    assert (await checking).status == ExitStatus.GOOD
    await handle.terminate()


async def test_the_schedule_is_made_fires_is_changed_and_ends(operator: Operator) -> None:
    handle = operator.client.get_schedule_handle(names.drift_check(operator.project))
    said = await checked(operator, every="1h", json=True)
    assert (said.status, said.data["schedule"]["every"]) == (ExitStatus.GOOD, "1 h")
    assert datetime.fromisoformat(said.data["schedule"]["next"]) > datetime.now(UTC) - timedelta(minutes=1)
    try:
        policy = (await handle.describe()).schedule.policy
        assert policy.overlap is ScheduleOverlapPolicy.SKIP
        assert policy.catchup_window == timedelta(minutes=1)
        await handle.trigger()
        [workflow_id] = await until_run(operator, 1)
        assert workflow_id.startswith(f"drift-{operator.project}-")
        report: Any = await operator.client.get_workflow_handle(workflow_id).result()
        assert (report["verdict"], report["requested_by"]) == ("as_recorded", "alice")
        shown = await checked(operator)
        assert f"checked every 1 h by schedule drift-{operator.project}, next at" in shown.out
        await handle.pause()
        assert "paused in Temporal" in (await checked(operator)).out
        changed = await checked(operator, every="30m", json=True)
        assert (changed.data["schedule"]["every"], changed.data["schedule"]["paused"]) == ("30 min", False)
    finally:
        ended = await operator.does(lambda: drift_check.switch_off(operator.project, None))
    assert (ended.status, ended.out) == (0, f"drift of {operator.project}: the schedule is switched off\n")
    assert "no schedule checks" in (await checked(operator)).out
    again = await operator.does(lambda: drift_check.switch_off(operator.project, None))
    assert (again.status, "was not on" in again.out) == (0, True)
