"""Cancelled at every step, and at every point of a rollback: production is all or previous, and nothing is half done."""

import contextlib
import itertools
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from runbook import steps
from runbook.pipeline import FinishedRun
from runbook.status import Outcome, State
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import answering, failing

AnyStep = Step[Any, Any]
HOSTS = ["production-1", "production-2"]
ASKED = "asked to stop"

BEFORE: tuple[AnyStep, ...] = (
    *steps.PREREQUISITES,
    steps.VERIFY_COMMIT,
    steps.TAG,
    steps.PIPELINE_RUN,
    steps.PIPELINE_END,
    steps.PIPELINE_RERUN,
    steps.VERIFY_ARTIFACT,
    steps.SCAN,
    steps.STAGE,
    steps.REHEARSE,
    steps.SMOKE_TEST,
    steps.PULL,
    steps.WINDOW,
    steps.WAY_BACK,
    steps.DRIFT,
)
PROMOTION: tuple[AnyStep, ...] = (
    steps.SWAP,
    steps.HEALTH,
    steps.RECORD,
    steps.VERIFY,
    steps.SOAK,
    steps.RECORD_HOST,
)
ROLLBACK: tuple[AnyStep, ...] = (steps.LOGS, steps.PUT_BACK, steps.PUT_BACK_HEALTH, steps.POSTMORTEM)
BY_HAND: tuple[AnyStep, ...] = (steps.PLAN_ROLLBACK, steps.RETURN)
# What a cancellation on staging leads to, and can't cut short: test_staging.py.
RETURNING_STAGING: tuple[AnyStep, ...] = (steps.PUT_STAGING_BACK,)
# Of drift checks, which change no production.
OF_DRIFT_CHECKS: tuple[AnyStep, ...] = (steps.PLAN_DRIFT_CHECK, steps.INSPECT_HOST, steps.COMMENT_DRIFT)
# Cancelled while these go on, a run has nothing begun (test_stopping.py), or they go on beside whatever it does.
ELSEWHERE: tuple[AnyStep, ...] = (
    steps.PLAN,
    steps.NOTIFY,
    steps.REMIND,
    steps.LEDGER,
    steps.VERIFY_SIGNATURE,
    steps.IDENTIFY_SENDER,
)


def test_no_step_is_left_out() -> None:
    covered = [*BEFORE, *PROMOTION, *ROLLBACK, *BY_HAND, *RETURNING_STAGING, *OF_DRIFT_CHECKS, *ELSEWHERE]
    assert sorted(step.name for step in covered) == sorted(step.name for step in steps.ALL)


def id_of(step: AnyStep) -> str:
    return step.name


@pytest.fixture
def small(lane: LaneOfTests) -> LaneOfTests:
    """One staging host, two of production, every step that a project can ask for."""
    lane.crew.project = project(
        production={"hosts": HOSTS},
        staging={"hosts": ["staging-1"], "rehearse_rollback": True},
        gate={"freezes": [{"from": "2020-01-01", "to": "2020-01-02"}]},
    )
    return lane


async def cancelled_at(lane: LaneOfTests, step: AnyStep) -> Handle:
    """The release, once this step was under way, both runs were asked to stop, and the step ended well all the same."""
    if step is steps.PIPELINE_RERUN:
        failed = FinishedRun(run=1, mark="1", url="https://git.example.net/1", succeeded=False)
        lane.crew.at(steps.PIPELINE_END, answering(failed))
    if step in BEFORE[: BEFORE.index(steps.PULL)]:
        hold = lane.crew.hold(step, stubborn=True)
        handle = await lane.start()
    else:
        handle = await lane.start()
        # The window is looked at when the gate opens, too, for people to see.
        await lane.until(handle, lambda status: status.gate is not None and lane.crew.count(steps.WINDOW) > 0)
        hold = lane.crew.hold(step, stubborn=True)
        await lane.approve(handle)
    await lane.until(handle, lambda _: hold.reached.is_set())
    await lane.sleep(0.1)
    lane.crew.happened.append(ASKED)
    await cancel_all(lane, handle)
    await lane.sleep(0.3)
    hold.let_go.set()
    return handle


def begun_afterwards(lane: LaneOfTests) -> set[str]:
    """Which steps began after it was asked to stop, without those that go on beside it."""
    since = lane.crew.happened[lane.crew.happened.index(ASKED) + 1 :]
    began = {line.split()[1].partition("/")[0] for line in since if line.startswith("began")}
    return began - {step.name for step in ELSEWHERE}


async def cancel_all(lane: LaneOfTests, *handles: Handle) -> None:
    for handle in (*handles, lane.child):
        with contextlib.suppress(RPCError):  # the child is not there yet, or has ended
            if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await handle.cancel()


async def assert_nothing_half_done(lane: LaneOfTests, handle: Handle) -> None:
    status = await lane.status(handle)
    assert status.outcome is not None
    assert {row.state for row in status.rows} <= {State.DONE, State.STOPPED, State.WAITING, State.FAILED}
    assert all(row.finished for row in status.rows if row.started)
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
    assert [entry.outcome for entry in lane.crew.kept("outcome")].count(status.outcome) >= 1
    begun = [line.split(maxsplit=1) for line in lane.crew.happened if line != ASKED]
    open_ones = [what for how, what in begun if how == "began"]
    for how, what in begun:
        if how != "began":
            open_ones.remove(what)
    assert open_ones == [], "a step was left behind"


@pytest.mark.parametrize("step", BEFORE, ids=id_of)
async def test_before_production_changes_it_ends_and_production_is_as_it_was(small: LaneOfTests, step: AnyStep) -> None:
    handle = await cancelled_at(small, step)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    on_staging = step in (steps.STAGE, steps.REHEARSE, steps.SMOKE_TEST)
    assert begun_afterwards(small) == ({steps.PUT_STAGING_BACK.name} if on_staging else set())
    assert not small.crew.count(steps.SWAP)
    await assert_nothing_half_done(small, handle)


@pytest.mark.parametrize("step", PROMOTION, ids=id_of)
async def test_in_promotion_every_touched_host_is_returned(small: LaneOfTests, step: AnyStep) -> None:
    handle = await cancelled_at(small, step)
    assert (await small.result(handle)).outcome is Outcome.ROLLED_BACK
    touched = {done.host for done in small.crew.of(steps.SWAP)}
    assert {done.host for done in small.crew.of(steps.PUT_BACK)} == touched
    await assert_nothing_half_done(small, handle)


@pytest.mark.parametrize("step", [step for step in BEFORE if step.changes], ids=id_of)
async def test_an_attempt_that_fails_as_it_is_stopped_calls_nobody(small: LaneOfTests, step: AnyStep) -> None:
    small.crew.at(step, failing(Cause.UNREACHABLE, "the connection broke"), after=True)
    handle = await cancelled_at(small, step)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert not small.crew.told("needs a person")
    await assert_nothing_half_done(small, handle)


@pytest.mark.parametrize("step", [step for step in PROMOTION if step.changes], ids=id_of)
async def test_an_attempt_that_fails_as_promotion_is_stopped_is_rolled_back(small: LaneOfTests, step: AnyStep) -> None:
    """A worker that is in trouble is just why somebody aborts."""
    small.crew.at(step, failing(Cause.UNREACHABLE, "the connection broke"), after=True)
    handle = await cancelled_at(small, step)
    assert (await small.result(handle)).outcome is Outcome.ROLLED_BACK
    assert not small.crew.told("needs a person")
    await assert_nothing_half_done(small, handle)


@pytest.mark.parametrize("step", ROLLBACK, ids=id_of)
async def test_in_the_rollback_it_goes_on_to_its_end(small: LaneOfTests, step: AnyStep) -> None:
    small.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503"), HOSTS[-1])
    handle = await cancelled_at(small, step)
    assert (await small.result(handle)).outcome is Outcome.ROLLED_BACK
    assert (await small.child.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert small.crew.effects[steps.POSTMORTEM.name] == 1
    await assert_nothing_half_done(small, handle)


@pytest.mark.parametrize("step", BY_HAND, ids=id_of)
async def test_a_rollback_by_hand_goes_on_to_its_end(small: LaneOfTests, step: AnyStep) -> None:
    hold = small.crew.hold(step, stubborn=True)
    handle = await small.start_rollback()
    await small.until(handle, lambda _: hold.reached.is_set())
    await cancel_all(small, handle)
    hold.let_go.set()
    assert (await handle.result())["outcome"] == Outcome.ROLLED_BACK
    assert small.crew.effects[steps.POSTMORTEM.name] == 1
    await assert_nothing_half_done(small, handle)


class Points:
    """Counts what a rollback does, before and after each step of it; at the `wanted`th both runs are cancelled."""

    def __init__(self, lane: LaneOfTests) -> None:
        self._lane = lane
        self._handle: Handle | None = None
        self.wanted = self.seen = 0
        for step in steps.ALL:
            for after in (False, True):
                lane.crew.at(step, self, after=after)

    def watch(self, handle: Handle, wanted: int) -> None:
        self._handle, self.wanted, self.seen = handle, wanted, 0

    async def __call__(self, _order: Any) -> None:
        if self._handle is None or not self._lane.crew.count(steps.LOGS):
            return
        self.seen += 1
        if self.seen == self.wanted:
            await cancel_all(self._lane, self._handle)


@pytest.mark.timeout(240)
async def test_at_every_point_of_a_rollback_it_completes(small: LaneOfTests) -> None:
    """Release after release, each cancelled one point later, until a rollback has no such point any more."""
    small.crew.project = project(production={"hosts": HOSTS}, staging={"hosts": ["staging-1"]})
    small.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503"), HOSTS[-1])
    points = Points(small)
    for wanted in itertools.count(1):
        small.crew.log.clear()
        small.crew.entries.clear()
        handle = await small.start()
        points.watch(handle, wanted)
        await small.at_gate(handle)
        await small.approve(handle)
        assert (await small.result(handle)).outcome is Outcome.ROLLED_BACK, f"cancelled at point {wanted}"
        assert {done.host for done in small.crew.of(steps.PUT_BACK_HEALTH)} == set(HOSTS), f"at point {wanted}"
        await assert_nothing_half_done(small, handle)
        assert small.crew.effects[steps.POSTMORTEM.name] == wanted
        if points.seen < wanted:
            break
    assert wanted > 2 * (len(HOSTS) * 2 + len(ROLLBACK)), "fewer points than steps: the rollback was not watched"
