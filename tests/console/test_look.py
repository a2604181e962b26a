"""Looking and listing: with a worker, without one, with search attributes and without."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter
from temporalio.client import WorkflowFailureError

from console import begin, catalogue, look
from console.exit_status import ExitStatus
from runbook import names, steps
from runbook.plan import GoodVersion
from runbook.trouble import Cause
from tests.operators import Operator
from tests.projects import DIGEST, OLD_DIGEST
from tests.workflows.crew import failing

HOUR = timedelta(hours=1)


async def started(operator: Operator, version: str = "1.4.0") -> None:
    await operator.does(
        lambda: begin.release(operator.project, version, commit=None, reason="weekly", by="carol", wait=False)
    )


async def listed(operator: Operator, state: str) -> dict[str, object]:
    """This project's entry, once the list (which lags behind) shows it in this state."""
    async with asyncio.timeout(20):
        while True:
            said = await operator.does(lambda: catalogue.runs(100), json=True)
            for entry in said.data:
                if entry["project"] == operator.project and entry["state"] == state:
                    return dict(entry)
            await asyncio.sleep(0.1)


async def test_the_status_of_a_release_at_the_gate_shows_what_to_do(operator: Operator) -> None:
    await started(operator)
    await operator.until_the_gate()
    said = await operator.does(lambda: look.status(operator.project))
    assert said.status == ExitStatus.GOING_ON
    for part in (DIGEST, "Approvals: 0 of 1", "alice, bob", "temporal workflow signal", steps.TAG.title, "weekly"):
        assert part in said.out


async def test_the_status_in_json_is_the_whole_status_and_the_exit_status(operator: Operator) -> None:
    await started(operator)
    await operator.until_the_gate()
    said = await operator.does(lambda: look.status(operator.project), json=True)
    assert said.data["gate"]["digest"] == DIGEST
    assert said.data["exit_status"] == said.status == ExitStatus.GOING_ON


async def test_a_step_that_needs_a_person_is_shown_with_its_evidence(operator: Operator) -> None:
    operator.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: protected branch"))
    await started(operator)
    await operator.until(lambda status: bool(status.needs))
    said = await operator.does(lambda: look.status(operator.project))
    for part in ("a person is needed: tag", "remote: protected branch", "seen", "--name retry"):
        assert part in said.out


async def test_the_rollback_that_a_release_waits_for_is_shown_with_what_it_needs(operator: Operator) -> None:
    operator.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503"), "production-1")
    operator.crew.at(steps.PUT_BACK, failing(Cause.FENCED, "a later release runs here"), "production-1")
    await started(operator)
    await operator.until_the_gate()
    handle = operator.client.get_workflow_handle(names.lane(operator.project))
    await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
    await operator.until(lambda status: status.stage == "rollback")
    lane = names.rollback_lane(operator.project)
    async with asyncio.timeout(30):
        while f"--workflow-id {lane}" not in (said := await operator.does(lambda: look.status(operator.project))).out:
            await asyncio.sleep(0.1)
    for part in ("a person is needed: put-back on production-1", "a later release runs here", "--name retry"):
        assert part in said.out
    said = await operator.does(lambda: look.status(operator.project), json=True)
    assert said.data["rollback"]["workflow_id"] == lane
    await operator.client.get_workflow_handle(lane).terminate()


async def test_without_a_worker_the_status_is_what_temporal_keeps(idle: Operator) -> None:
    await idle.client.start_workflow(
        names.RELEASE_WORKFLOW, id=names.lane(idle.project), task_queue=idle.queue, static_summary="by alice"
    )
    said = await idle.does(lambda: look.status(idle.project))
    assert said.status == ExitStatus.GOING_ON
    assert "run: by alice" in said.out
    assert re.search(r"^started: \d\d:\d\d:\d\d UTC$", said.out, re.MULTILINE)
    assert "no worker polls" in said.err
    assert is_recent((await idle.does(lambda: look.status(idle.project), json=True)).data["started"])


async def test_a_run_for_other_workers_is_told_as_such(idle: Operator) -> None:
    await idle.client.start_workflow(names.RELEASE_WORKFLOW, id=names.lane(idle.project), task_queue="elsewhere")
    said = await idle.does(lambda: look.status(idle.project))
    assert f"for workers of the task queue elsewhere, not {idle.queue}: say RUNBOOK_TASK_QUEUE as they do" in said.err


async def test_a_release_that_waits_for_people_is_listed_as_such(operator: Operator) -> None:
    await started(operator)
    await operator.until_the_gate()
    entry = await listed(operator, "running")
    while not entry["needs_person"]:
        entry = await listed(operator, "running")
    assert (entry["version"], entry["stage"], entry["kind"]) == ("1.4.0", "gate", "release")
    assert is_recent(entry["started"])
    assert entry["ended"] is None
    said = await operator.does(lambda: catalogue.runs(100))
    (line,) = (line for line in said.out.splitlines() if f" {operator.project} " in line)
    assert re.search(r"\d\d:\d\d:\d\d UTC +- *$", line)


async def test_a_release_without_search_attributes_is_listed_by_its_id(operator: Operator) -> None:
    operator.crew.searchable = False
    await started(operator)
    await operator.until_the_gate()
    entry = await listed(operator, "running")
    assert (entry["version"], entry["workflow_id"]) == ("", f"release-{operator.project}")


async def test_a_refused_release_is_refused_in_the_list_too_with_its_version(operator: Operator) -> None:
    operator.crew.at(steps.PLAN, failing(Cause.REFUSED, "production.hosts[1]: 'a b' is not a host"))
    await started(operator)
    entry = await listed(operator, "refused")
    assert (entry["version"], entry["kind"], entry["outcome"]) == ("1.4.0", "release", "")
    said = await operator.does(lambda: look.status(operator.project))
    assert said.status == ExitStatus.REFUSED
    assert said.out.startswith(f"release {operator.project} 1.4.0: refused\n")
    assert f"\n{operator.project} 1.4.0: refused: production.hosts[1]" in said.out
    assert "aborted" not in said.out
    assert (await operator.does(lambda: look.status(operator.project), json=True)).data["outcome"] == "refused"


async def test_a_refused_rollback_is_headed_by_no_version_that_nobody_named(operator: Operator) -> None:
    operator.crew.at(steps.PLAN_ROLLBACK, failing(Cause.REFUSED, "3.3.3 was never released"))
    order = {"project": operator.project, "requested_by": "bob", "reason": "checkout fails"}
    for asked, version in (({}, ""), ({"to_version": "3.3.3"}, "3.3.3")):
        handle = await operator.client.start_workflow(
            names.ROLLBACK_WORKFLOW, {**order, **asked}, id=names.lane(operator.project), task_queue=operator.queue
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        entry = await listed(operator, "refused")
        while entry["run_id"] != handle.result_run_id:
            entry = await listed(operator, "refused")
        assert (entry["version"], entry["kind"]) == (version, "rollback")
        said = await operator.does(lambda: look.status(operator.project))
        assert said.out.startswith(f"rollback {operator.project}: refused\n")


async def test_the_versions_one_can_go_back_to_are_those_that_were_released(operator: Operator) -> None:
    for version in ("1.4.0", "1.5.0"):
        await started(operator, version)
        await operator.until_the_gate()
        await operator.approve()
        await operator.client.get_workflow_handle(names.lane(operator.project)).result()
    await started(operator, "1.6.0")
    await operator.until_the_gate()
    await operator.client.get_workflow_handle(names.lane(operator.project)).terminate()
    async with asyncio.timeout(20):
        while True:
            said = await operator.does(lambda: catalogue.good_versions(operator.project, 20), json=True)
            if len(said.data) == 3:
                break
            await asyncio.sleep(0.1)
    *released, before = said.data
    assert [entry["version"] for entry in released] == ["1.5.0", "1.4.0"]
    assert {entry["digest"] for entry in released} == {DIGEST}
    assert {entry["note"] for entry in released} == {""}
    assert all(is_recent(entry["released"]) for entry in released)
    assert all(timedelta(0) <= TypeAdapter(timedelta).validate_python(entry["age"]) < HOUR for entry in released)
    # The crew's hosts ran it, and its ledger knows no release before.
    assert (before["version"], before["digest"], before["approved_by"]) == ("1.3.0", OLD_DIGEST, "")
    assert before["note"] == "ran before the first release"
    shown = await operator.does(lambda: catalogue.good_versions(operator.project, 20))
    assert "ran before the first release" in shown.out
    assert re.search(r"1\.5\.0 .* \d\d:\d\d:\d\d UTC +(\d+ min )?\d+ s ago ", shown.out)


async def test_a_version_that_was_released_is_not_listed_as_what_ran_before(operator: Operator) -> None:
    operator.crew.last_good = GoodVersion(version="1.3.0", digest=OLD_DIGEST, released_at="2026-01-01T00:00:00Z")
    await started(operator)
    await operator.until_the_gate()
    await operator.approve()
    await operator.client.get_workflow_handle(names.lane(operator.project)).result()
    async with asyncio.timeout(20):
        while not (said := await operator.does(lambda: catalogue.good_versions(operator.project, 20), json=True)).data:
            await asyncio.sleep(0.1)
    assert [entry["version"] for entry in said.data] == ["1.4.0"]


def is_recent(moment: object) -> bool:
    """Whether it is a moment in ISO 8601 with its date and its offset, within the last hour."""
    return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(str(moment)) < HOUR
