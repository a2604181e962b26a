"""A release as people and Temporal see it, with a crew that performs every step in memory."""

from runbook import names, steps
from runbook.status import Outcome, ReleaseResult, State
from tests.projects import DIGEST
from tests.workflows.conftest import LaneOfTests


async def test_a_release_goes_through_every_step_once_and_ends_released(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.approve(handle)
    result = ReleaseResult.model_validate(await handle.result())
    status = await lane.status(handle)

    assert result.outcome is Outcome.RELEASED
    assert set(lane.crew.fleet.values()) == {DIGEST}
    assert [row.key for row in status.rows if row.state is not State.DONE] == []
    assert lane.crew.count(steps.TAG) == lane.crew.count(steps.RECORD) == 1
    assert lane.crew.count(steps.SWAP) == 3
    assert not status.needs_person


async def test_nothing_of_production_changes_before_the_approval(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    touching = {steps.PULL.name, steps.SWAP.name, steps.WAY_BACK.name}
    assert touching.isdisjoint(lane.crew.performed())
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "not today"})
    result = ReleaseResult.model_validate(await handle.result())
    assert result.outcome is Outcome.REJECTED
    assert "not today" in result.summary
    assert touching.isdisjoint(lane.crew.performed())
