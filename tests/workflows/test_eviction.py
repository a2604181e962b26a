"""Every kind of run by a worker that forgets it after each task: what is done follows from the history alone."""

import pytest

from tests.workflows.conftest import LaneOfTests
from tests.workflows.scenarios import STORIES, told


@pytest.mark.parametrize("name", STORIES)
async def test_a_run_that_is_replayed_at_every_task_goes_the_same_way(idle_lane: LaneOfTests, name: str) -> None:
    async with idle_lane.working(max_cached_workflows=0):
        await told(idle_lane, name)
