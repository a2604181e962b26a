"""The pipeline of the tag: found within a minute or a person is asked, run again while attempts are left."""

import itertools
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.pipeline import FinishedRun, RepeatedRun
from runbook.status import Outcome, State
from runbook.trouble import Cause
from tests.projects import project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import answering, failing

URL = "https://git.example.net/runs/1"


def ended(number: int, *, well: bool = False) -> FinishedRun:
    """The run's end number so many, as its mark tells."""
    jobs = [] if well else [f"build: {URL}/jobs/{number}"]
    tail = [] if well else [f"build: exit 1 in {number}"]
    return FinishedRun(run=1, mark=f"mark-{number}", url=URL, succeeded=well, failed_jobs=jobs, log_tail=tail)


def again(*, asked: bool) -> RepeatedRun:
    return RepeatedRun(asked=asked, url=URL)


async def test_no_run_within_the_time_is_escalated_as_that(lane: LaneOfTests) -> None:
    not_yet = failing(Cause.NOT_YET, "no run of v1.4.0 yet", final=False)
    lane.crew.at(steps.PIPELINE_RUN, not_yet)
    handle = await lane.start()
    status = await lane.in_need(handle, step=1)
    [need] = status.needs
    assert (need.step, need.cause) == ("pipeline-run", "NoRunForTag")
    assert need.what.startswith("not done within 1 min")
    assert "no run of v1.4.0 yet" in need.what
    assert need.hint.startswith("Pipeline not triggered on tag push")
    looks = lane.crew.of(steps.PIPELINE_RUN)
    assert timedelta(seconds=56) < need.since - looks[0].at <= timedelta(seconds=61)
    pauses = {round((b.at - a.at).total_seconds()) for a, b in itertools.pairwise(looks)}
    assert pauses == {2}

    lane.crew.forget(steps.PIPELINE_RUN)
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    assert lane.crew.effects[steps.TAG.name] == 1


async def test_the_projects_own_times_are_kept(lane: LaneOfTests) -> None:
    lane.crew.project = project(pipeline={"appears_within": "5m", "finishes_within": "20m", "poll_every": "30s"})
    lane.crew.at(steps.PIPELINE_END, failing(Cause.NOT_YET, "running", final=False))
    handle = await lane.start()
    [need] = (await lane.in_need(handle, step=10)).needs
    assert (need.step, need.cause) == ("pipeline", "TimedOut")
    looks = lane.crew.of(steps.PIPELINE_END)
    assert timedelta(minutes=19, seconds=29) < need.since - looks[0].at <= timedelta(minutes=20, seconds=1)
    assert {round((b.at - a.at).total_seconds()) for a, b in itertools.pairwise(looks)} == {30}


async def test_a_failed_run_is_run_again_and_its_old_end_not_counted_twice(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PIPELINE_END, answering(ended(1), ended(2), ended(3, well=True)))
    handle = await lane.start()
    status = await lane.at_gate(handle)
    assert [look.order.after for look in lane.crew.of(steps.PIPELINE_END)] == ["", "mark-1", "mark-2"]
    assert [ask.order.after for ask in lane.crew.of(steps.PIPELINE_RERUN)] == ["mark-1", "mark-2"]
    row = next(row for row in status.rows if row.key == "pipeline")
    assert (row.state, row.trouble) == (State.DONE, "")


async def test_after_three_failed_attempts_a_person_is_asked_with_the_failed_jobs(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PIPELINE_END, answering(*map(ended, range(1, 7)), ended(7, well=True)))
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    assert (need.cause, need.what) == ("PipelineFailed", f"the pipeline failed 3 times: {URL}")
    assert need.evidence == [f"build: {URL}/jobs/3", "build: exit 1 in 3"]
    assert lane.crew.count(steps.PIPELINE_RERUN) == 2
    await handle.signal(names.RETRY, {"by": "alice"})
    [need] = (await lane.until(handle, lambda status: bool(status.needs) and status.needs[0].number == 2)).needs
    assert need.what == f"the pipeline failed 3 times: {URL}"
    assert lane.crew.count(steps.PIPELINE_END) == 6
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    marks = [f"mark-{number}" for number in range(1, 7)]
    assert [ask.order.after for ask in lane.crew.of(steps.PIPELINE_RERUN)] == marks
    assert [look.order.after for look in lane.crew.of(steps.PIPELINE_END)] == ["", *marks]


async def test_one_attempt_asks_at_once(lane: LaneOfTests) -> None:
    lane.crew.project = project(pipeline={"attempts": 1})
    lane.crew.at(steps.PIPELINE_END, answering(ended(1)))
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    assert need.what == f"the pipeline failed once: {URL}"
    assert not lane.crew.count(steps.PIPELINE_RERUN)


async def test_where_the_forge_can_not_be_asked_a_person_is_and_the_release_sees_the_new_end_itself(
    lane: LaneOfTests,
) -> None:
    started_again: list[bool] = []

    async def end(order: Any) -> FinishedRun:
        if not order.after:
            return ended(1)
        if not started_again:
            raise ApplicationError("run 1 was not started again yet", type=Cause.NOT_YET)
        return ended(2, well=True)

    lane.crew.at(steps.PIPELINE_END, end)
    lane.crew.at(steps.PIPELINE_RERUN, answering(again(asked=False)))
    handle = await lane.start()
    status = await lane.in_need(handle)
    [need] = status.needs
    wish = f"this forge can't be asked to run the pipeline again: re-run it at {URL} within 1 h"
    assert need.what == wish
    assert [send.split("--name ")[1].split()[0] for send in need.send] == ["abort"]
    assert not (await lane.decide(handle, {"decision": "retry", "by": "alice"})).accepted
    assert lane.crew.told("needs a person: pipeline", wish)
    await lane.sleep(600)
    assert (await lane.status(handle)).needs == [need]
    started_again.append(True)
    status = await lane.at_gate(handle)
    assert status.needs == []
    assert lane.crew.count(steps.PIPELINE_RERUN) == 1


async def test_a_run_that_nobody_starts_again_in_time_is_escalated(lane: LaneOfTests) -> None:
    lane.crew.project = project(pipeline={"finishes_within": "10m"})

    async def end(order: Any) -> FinishedRun:
        if not order.after:
            return ended(1)
        raise ApplicationError("run 1 was not started again yet", type=Cause.NOT_YET)

    lane.crew.at(steps.PIPELINE_END, end)
    lane.crew.at(steps.PIPELINE_RERUN, answering(again(asked=False)))
    handle = await lane.start()
    status = await lane.in_need(handle, 2, step=10)
    assert status.needs[1].what.startswith("not done within 10 min")
    await handle.signal(names.ABORT, {"by": "alice", "reason": "enough"})
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert (await lane.status(handle)).needs == []


async def test_a_long_pipeline_costs_no_history(lane: LaneOfTests) -> None:
    looks = 0

    async def end(_order: Any) -> None:
        nonlocal looks
        looks += 1
        if activity.info().attempt < 500:
            raise ApplicationError("running", type=Cause.NOT_YET)

    lane.crew.at(steps.PIPELINE_END, end)
    handle = await lane.start()
    await lane.until(handle, lambda status: status.gate is not None, step=30)
    assert looks == 500
    assert len(await lane.events(handle)) < 200
