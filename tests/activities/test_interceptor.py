"""What an activity says is bounded before it reaches history, whatever it was that said it."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.errors import Unreachable
from activities.interceptor import StepInterceptor
from runbook import steps
from runbook.command import FinishedCommand
from runbook.message import LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES
from runbook.trouble import Cause
from tests.activities import keeping
from tests.activities.keeping import Kept

LONG = ["x" * 100_000] * 100


async def performed(end: FinishedCommand | Exception, kept: Kept, patience: float = 15) -> FinishedCommand:
    """An activity that finds this, or fails so."""

    async def work() -> FinishedCommand:
        if isinstance(end, Exception):
            raise end
        return end

    found: FinishedCommand = await keeping.performed(keeping.attempt(steps.UAT), StepInterceptor(kept, patience), work)
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
