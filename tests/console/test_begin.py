"""Starting: what is refused before and after the connection, and what a started release says."""

import pytest
from temporalio.client import WorkflowExecutionStatus

from console import begin
from console.exit_status import ExitStatus
from console.refusal import Refusal
from console.session import Work
from runbook import names, steps
from runbook.trouble import Cause
from tests.operators import Operator
from tests.projects import OLD_DIGEST
from tests.workflows.crew import failing


def prepare(project: str, version: str = "1.4.0", *, reason: str = "weekly", wait: bool = False) -> Work:
    return begin.release(project, version, commit=None, reason=reason, by="carol", wait=wait)


@pytest.mark.parametrize(
    ("project", "version", "said"),
    [
        ("Shop", "1.4.0", "'Shop' is not a project name"),
        ("shop; reboot", "1.4.0", "is not a project name"),
        ("shop", "v1.4.0", "'v1.4.0' is not a semantic version"),
        ("shop", "latest", "'latest' is not a semantic version"),
        ("shop-rollback", "1.4.0", "a rollback of shop runs as release-shop-rollback: rename its file"),
    ],
)
def test_a_name_or_version_of_the_wrong_form_is_refused_before_any_connection(
    project: str, version: str, said: str
) -> None:
    with pytest.raises(Refusal, match=said) as refusal:
        prepare(project, version)
    assert "\n" not in str(refusal.value)


def test_a_short_commit_a_reason_of_two_lines_and_a_strange_name_are_named_together() -> None:
    with pytest.raises(Refusal, match=r"commit: .*; reason: "):
        begin.release("shop", "1.4.0", commit="abc", reason="one\ntwo", by="carol", wait=False)
    with pytest.raises(Refusal, match="is not a person's name"):
        begin.release("shop", "1.4.0", commit=None, reason="", by="carol; reboot", wait=False)


def test_a_rollback_without_a_reason_is_refused() -> None:
    with pytest.raises(Refusal, match="--reason"):
        begin.rollback("shop", to=None, reason=" ", by="bob", wait=False)


def test_a_rollback_in_the_lane_of_anothers_rollback_is_refused_before_any_connection() -> None:
    with pytest.raises(Refusal, match="no project can be named 'shop-rollback'"):
        begin.rollback("shop-rollback", to=None, reason="checkout fails", by="bob", wait=False)


async def test_a_started_release_is_admitted_and_carries_who_asked_for_it(operator: Operator) -> None:
    said = await operator.does(lambda: prepare(operator.project))
    assert said.status == ExitStatus.GOOD, said.err
    assert f"started as release-{operator.project}" in said.out
    assert "admitted" in said.out
    described = await operator.client.get_workflow_handle(names.lane(operator.project)).describe()
    assert await described.static_summary() == f"release {operator.project} 1.4.0, asked for by carol"


async def test_a_refused_release_is_one_line_and_status_2(operator: Operator) -> None:
    operator.crew.at(steps.PLAN, failing(Cause.REFUSED, "production.hosts[1]: 'a b' is not a host"))
    said = await operator.does(lambda: prepare(operator.project))
    assert said.status == ExitStatus.REFUSED
    assert said.err.splitlines() == ["production.hosts[1]: 'a b' is not a host"]


async def test_a_taken_lane_says_who_holds_it_since_when_and_at_which_step(operator: Operator) -> None:
    await operator.does(lambda: prepare(operator.project))
    await operator.until_the_gate()
    said = await operator.does(lambda: prepare(operator.project, "1.5.0"))
    assert said.status == ExitStatus.REFUSED
    (line,) = said.err.splitlines()
    for part in (
        f"release-{operator.project} is held since",
        "release 1.4.0, asked for by carol",
        "waiting at the gate",
    ):
        assert part in line
    assert line.endswith(f"nothing was started: `watch {operator.project}`, or `abort` it")


async def test_a_lane_that_is_taken_by_a_release_in_production_is_left_by_rolling_back(operator: Operator) -> None:
    hold = operator.crew.hold(steps.SWAP)
    await operator.does(lambda: prepare(operator.project))
    await operator.until_the_gate()
    await operator.approve()
    await hold.reached.wait()
    said = await operator.does(lambda: prepare(operator.project, "1.5.0"))
    assert said.err.endswith("or `roll-back` it\n")
    hold.let_go.set()


async def test_a_taken_lane_is_explained_even_if_no_worker_answers(idle: Operator) -> None:
    await idle.client.start_workflow(
        names.RELEASE_WORKFLOW, id=names.lane(idle.project), task_queue=idle.queue, static_summary="release by alice"
    )
    said = await idle.does(lambda: prepare(idle.project))
    assert said.status == ExitStatus.REFUSED
    assert "by release by alice, but no worker answers" in said.err


async def test_without_a_worker_it_says_so_and_that_the_release_waits(idle: Operator) -> None:
    said = await idle.does(lambda: begin.release(idle.project, "1.4.0", commit=None, reason="", by="carol", wait=False))
    assert said.status == ExitStatus.GOING_ON
    assert f"no worker polls the task queue {idle.queue}" in said.err
    assert f"watch {idle.project}" in said.err
    described = await idle.client.get_workflow_handle(names.lane(idle.project)).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING


async def test_json_is_the_status_and_nothing_else(operator: Operator) -> None:
    said = await operator.does(lambda: prepare(operator.project), json=True)
    assert len(said.out.splitlines()) == 1
    assert said.data["project"] == operator.project
    assert said.data["rows"]


async def test_a_rollback_by_hand_that_was_waited_for_ends_well(operator: Operator) -> None:
    said = await operator.does(
        lambda: begin.rollback(operator.project, to=None, reason="checkout fails", by="bob", wait=True)
    )
    assert said.status == ExitStatus.GOOD, said.err + said.out
    assert "rolled back" in said.out
    assert set(operator.crew.fleet.values()) == {OLD_DIGEST}
