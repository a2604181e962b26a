"""The crew of these tests: a test that fails must end, whatever its steps were told."""

import pytest

from runbook import steps
from tests.workflows.conftest import LaneOfTests


@pytest.mark.timeout(40)
async def test_a_step_that_is_held_and_was_cancelled_ends_with_its_worker(idle_lane: LaneOfTests) -> None:
    async with idle_lane.working():
        hold = idle_lane.crew.hold(steps.UAT, stubborn=True)
        handle = await idle_lane.start()
        await idle_lane.until(handle, lambda _: hold.reached.is_set())
        await handle.cancel()
        await idle_lane.until(handle, lambda _: hold.cancelled)
    assert not hold.let_go.is_set()
