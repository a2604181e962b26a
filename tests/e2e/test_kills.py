"""Workers and the Temporal server killed in mid-release: it goes on within seconds and does nothing twice."""

import asyncio
import time
from typing import Any

import pytest

from runbook import steps
from runbook.status import Outcome, State
from runbook.step import Step
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

GOES_ON_WITHIN = 10.0
BEFORE_GATE: list[Step[Any, Any]] = [
    steps.CI_GREEN,
    steps.VERIFY_COMMIT,
    steps.TAG,
    steps.PIPELINE_RUN,
    steps.PIPELINE_END,
    steps.VERIFY_ARTIFACT,
    steps.SCAN,
    steps.STAGE,
    steps.SMOKE_TEST,
]
AFTER_GATE: list[Step[Any, Any]] = [
    steps.PULL,
    steps.WAY_BACK,
    steps.SWAP,
    steps.HEALTH,
    steps.RECORD,
    steps.VERIFY,
    steps.SOAK,
]


async def test_a_worker_killed_at_every_step_in_turn_leaves_one_of_everything(play: Play) -> None:
    commit = await play.start()
    for step in BEFORE_GATE:
        await killed_at(play, step.name)
    await play.approve(await play.at_gate())
    for step in AFTER_GATE:
        await killed_at(play, step.name)
    status = await play.ended()
    assert status.outcome is Outcome.RELEASED, status.summary
    await play.assert_one_of_everything(commit)


async def test_a_signal_to_a_release_whose_worker_was_killed_goes_on_within_seconds(play: Play) -> None:
    await play.start()
    status = await play.at_gate()
    assert play.house.worker is not None
    play.house.worker.kill()
    await play.approve(status)
    began = time.monotonic()
    await asyncio.to_thread(play.house.start_worker)
    await play.until(
        lambda seen: any(row.name == steps.PULL.name and row.state is not State.WAITING for row in seen.rows)
    )
    assert time.monotonic() - began < GOES_ON_WITHIN
    assert (await play.ended()).outcome is Outcome.RELEASED


async def test_a_server_killed_twice_and_started_again_changes_nothing(play: Play) -> None:
    commit = await play.start()
    await play.at(steps.PIPELINE_RUN.name)
    await asyncio.to_thread(play.house.restart_temporal)
    await play.approve(await play.at_gate())
    await play.at(steps.SWAP.name)
    await asyncio.to_thread(play.house.restart_temporal, 12.0)
    status = await play.ended()
    assert status.outcome is Outcome.RELEASED, status.summary
    await play.assert_one_of_everything(commit)


async def killed_at(play: Play, step: str) -> None:
    """SIGKILL as soon as this step runs (or has just run), and another worker in its place."""
    await play.at(step)
    assert play.house.worker is not None
    play.house.worker.kill()
    await asyncio.to_thread(play.house.start_worker)
