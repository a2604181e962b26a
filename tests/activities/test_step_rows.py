"""Whatever an attempt comes to is in the ledger, also where it is cancelled amid a change."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.activity import ActivityCancellationDetails as Details

from activities.interceptor import StepInterceptor
from runbook import steps
from runbook.message import Finding
from runbook.step import Step
from tests.activities.keeping import Kept, attempt, performed

BRIEF, LONG = 0.3, 8.0


async def cancelled(
    kept: Kept,
    step: Step[Any, Any] = steps.SWAP,
    details: Details | None = None,
    *,
    work: Any = None,
    brief: float = BRIEF,
) -> float:
    """An attempt that is cancelled in its middle; how many seconds it then took to end as such."""
    reached = asyncio.Event()

    async def hold() -> Finding:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    environment, loop = attempt(step), asyncio.get_running_loop()
    running = asyncio.create_task(performed(environment, StepInterceptor(kept, brief=brief), work or hold))
    await asyncio.wait_for((kept.reached if work else reached).wait(), LONG)
    began = loop.time()
    environment.cancel(details or Details(cancel_requested=True))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, LONG)
    return loop.time() - began


@pytest.mark.parametrize(
    ("details", "why"),
    [
        (Details(cancel_requested=True), "its run asked it to end"),
        (Details(worker_shutdown=True), "its worker stopped"),
        (Details(timed_out=True), "it took longer than it may"),
        (Details(not_found=True), "Temporal waits for it no longer: its run was ended, or it was given up as too late"),
        (Details(paused=True), "somebody paused it in Temporal"),
        (Details(reset=True), "somebody reset it in Temporal"),
        (Details(timed_out=True, worker_shutdown=True), "its worker stopped, and it took longer than it may"),
        (Details(), "cancelled, Temporal does not say why"),
    ],
)
async def test_a_change_that_is_cancelled_is_on_record_with_the_reason(details: Details, why: str) -> None:
    kept = Kept()
    await cancelled(kept, details=details)
    [row] = kept.entries
    assert (row.action, row.outcome, row.version) == ("swap", "cancelled", "1.4.0")
    assert row.detail == f"{why}; what it had changed until then is not known to be whole"
    assert row.event.endswith("/cancelled/3")


@pytest.mark.parametrize("step", [steps.PULL, steps.PUT_BACK, steps.NOTIFY])
async def test_so_is_any_step_that_changes_something(step: Step[Any, Any]) -> None:
    kept = Kept()
    await cancelled(kept, step)
    assert [row.action for row in kept.entries] == [step.name]


@pytest.mark.parametrize("step", [steps.HEALTH, steps.WAY_BACK, steps.LEDGER])
async def test_a_look_that_is_cut_short_and_a_step_without_rows_leave_none(step: Step[Any, Any]) -> None:
    kept = Kept()
    await cancelled(kept, step)
    assert kept.entries == []


async def test_a_ledger_that_is_away_for_a_moment_gets_the_row() -> None:
    kept = Kept(away=1)
    await cancelled(kept, brief=2)
    assert [row.outcome for row in kept.entries] == ["cancelled"]


async def test_a_ledger_that_stays_away_makes_no_failure_of_the_cancellation() -> None:
    kept = Kept(away=100)
    with capture_logs() as logs:
        await cancelled(kept)
        await asyncio.sleep(0)
    assert kept.entries == []
    assert any(log["log_level"] == "warning" and log.get("why") == "the ledger is locked" for log in logs)


async def test_a_ledger_that_hangs_does_not_hold_up_a_worker_that_stops() -> None:
    kept = Kept()
    kept.let_go.clear()
    with capture_logs() as logs:
        took = await cancelled(kept, details=Details(worker_shutdown=True))
    assert BRIEF <= took < LONG
    assert [log["row"].rpartition("/cancelled/")[2] for log in logs if log["log_level"] == "warning"] == ["3"]


async def test_another_cancellation_does_not_lose_the_row() -> None:
    kept = Kept()
    kept.let_go.clear()
    environment, reached = attempt(steps.SWAP), asyncio.Event()

    async def hold() -> Finding:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    running = asyncio.create_task(performed(environment, StepInterceptor(kept, brief=60), hold))
    await asyncio.wait_for(reached.wait(), LONG)
    environment.cancel()
    await asyncio.wait_for(kept.reached.wait(), LONG)
    for _ in range(3):
        running.cancel()
        await asyncio.sleep(0)
    assert not running.done()
    kept.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [row.outcome for row in kept.entries] == ["cancelled"]


async def test_what_was_done_when_the_cancellation_came_is_kept_as_done() -> None:
    """The row waits for a ledger that is away; the cancellation comes meanwhile."""

    async def work() -> Finding:
        return Finding(summary="production-2 runs v1.4.0")

    kept = Kept(away=1)
    await cancelled(kept, work=work)
    assert [(row.outcome, row.detail) for row in kept.entries] == [("done", "production-2 runs v1.4.0")]
