"""What an activity says is bounded before it reaches history, whatever it was that said it."""

import dataclasses
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import Unreachable
from activities.interceptor import StepInterceptor
from runbook import names, steps
from runbook.command import FinishedCommand
from runbook.message import LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES, Order, ReleaseRef
from runbook.record import Entry
from runbook.trouble import Cause

REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
)
LONG = ["x" * 100_000] * 100


class Kept:
    """A ledger in memory; it is `away` so many times first."""

    def __init__(self, away: int = 0) -> None:
        self.entries: list[Entry] = []
        self.away = away

    async def keep(self, order: Order, entries: list[Entry]) -> str:
        if self.away:
            self.away -= 1
            raise Unreachable("the ledger is locked")
        self.entries += entries
        return ""


class Told(ActivityInboundInterceptor):
    """An activity that finds this, or fails so."""

    def __init__(self, end: FinishedCommand | Exception) -> None:
        self._end = end

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


async def performed(end: FinishedCommand | Exception, kept: Kept, patience: float = 15) -> FinishedCommand:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        ActivityEnvironment.default_info(),
        workflow_type=names.RELEASE_WORKFLOW,
        activity_type=steps.UAT.name,
        attempt=3,
    )
    inbound = StepInterceptor(kept, patience).intercept_activity(Told(end))
    asked = ExecuteActivityInput(fn=performed, args=[Order(ref=REF)], executor=None, headers={})
    found: FinishedCommand = await environment.run(inbound.execute_activity, asked)
    return found


async def test_a_finding_is_bounded() -> None:
    kept = Kept()
    found = await performed(FinishedCommand(summary=LONG[0], evidence=LONG, seconds=1), kept)
    assert (len(found.summary), len(found.evidence), found.attempt) == (LONGEST_LINE, MOST_LINES, 3)
    assert {len(line) for line in found.evidence} == {LONGEST_LINE}
    assert len(kept.entries[0].evidence) == MOST_LINES


@pytest.mark.parametrize(
    "error", [Unreachable(LONG[0], cause=Cause.UNREACHABLE, evidence=LONG), ValueError(LONG[0][:5000])]
)
async def test_a_failure_is_bounded(error: Exception) -> None:
    with pytest.raises(ApplicationError) as failed:
        await performed(error, Kept())
    assert len(failed.value.message) == LONGEST_MESSAGE
    for table in failed.value.details:
        assert len(table["evidence"]) == MOST_LINES
        assert {len(line) for line in table["evidence"]} == {LONGEST_LINE}


async def test_what_was_done_is_not_lost_to_a_ledger_that_is_away_for_a_moment() -> None:
    kept = Kept(away=2)
    assert (await performed(FinishedCommand(summary="passed", seconds=1), kept)).summary == "passed"
    assert [entry.outcome for entry in kept.entries] == ["done"]


async def test_a_ledger_that_stays_away_fails_the_attempt() -> None:
    with pytest.raises(ApplicationError, match="the ledger is locked"):
        await performed(FinishedCommand(summary="passed", seconds=1), Kept(away=100), patience=0)
