"""Workers asked to stop (SIGTERM) in the middle of long steps, one after the other: another goes on where they were."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.house import House
from deploy.demo.outside import Outside
from deploy.demo.program import Program
from deploy.sandbox.sandbox_project import project_document, to_toml
from runbook import steps
from runbook.status import Outcome, Row, State
from runbook.step import Step
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

GRACE, LONG_GRACE = 2.0, 30.0
ELSEWHERE_WITHIN = 10.0
PIPELINE = 4.0
SOAK = 11.0
WATCHED = 5.0
# Hangs the first time, as a long suite would take, and is short the second.
LONG_ONCE = """
import pathlib, sys, time
mark = pathlib.Path(sys.argv[1])
first = not mark.exists()
mark.touch()
time.sleep(90 if first else 0)
"""


@pytest.fixture(scope="module")
def slow_house() -> Generator[House]:
    """Its pipeline, acceptance tests and soak take a while."""
    with tempfile.TemporaryDirectory(prefix="rr-") as folder, House(Path(folder), pipeline_seconds=PIPELINE) as house:
        document = project_document(house.facts)
        document["uat"]["command"] = [sys.executable, "-c", LONG_ONCE, f"{folder}/uat-began"]
        document["production"]["soak"] = {"lasts": f"{SOAK:g}s", "every": "500ms", "failures": 3, "within": "1m"}
        (house.facts.projects / "shop.toml").write_text(to_toml(document))
        yield house


async def test_a_release_whose_worker_is_stopped_at_every_long_step_goes_on_where_it_was(slow_house: House) -> None:
    play = Play(slow_house, await slow_house.connect(), Outside(slow_house), "1.1.0")
    crew = [await worker(play, GRACE) for _ in range(2)]
    commit = await play.start()

    await play.at(steps.UAT.name)
    await stopped(crew, await holder(play, crew, steps.UAT), within=GRACE + 5)
    [uat] = await done(play, steps.UAT, within=ELSEWHERE_WITHIN)
    assert uat.attempts == 2, "what can't be handed over is done again"

    crew.append(await worker(play, LONG_GRACE))
    await play.at(steps.PIPELINE_END.name)
    await stopped(crew, crew[0], within=GRACE)
    await done(play, steps.PIPELINE_END, within=PIPELINE + ELSEWHERE_WITHIN)

    crew.append(await worker(play, LONG_GRACE))
    await play.approve(await play.at_gate())
    await play.at(steps.SWAP.name)
    await stopped(crew, await holder(play, crew, steps.SWAP), within=LONG_GRACE)
    swaps = await done(play, steps.SWAP, within=ELSEWHERE_WITHIN)
    assert {swap.attempts for swap in swaps} == {1}, "what is short is given its grace"

    crew.append(await worker(play, LONG_GRACE))
    began = await at_soak(play)
    await asyncio.sleep(max(0.0, began + WATCHED - time.time()))
    handed_over = time.time()
    await stopped(crew, await holder(play, crew, steps.SOAK), within=GRACE)
    [soak] = await done(play, steps.SOAK, within=ELSEWHERE_WITHIN)
    assert soak.finished is not None
    assert soak.finished.timestamp() - handed_over < SOAK - 1, "the soak began anew"
    assert soak.attempts == 2

    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    await play.assert_one_of_everything(commit)


async def worker(play: Play, grace: float) -> Program:
    return await asyncio.to_thread(lambda: play.house.start_worker(RUNBOOK_GRACE=f"{grace:g}"))


async def holder(play: Play, crew: list[Program], step: Step[Any, Any]) -> Program:
    """The worker that has the step now; any, where that has just ended."""
    described = await play.handle.describe()
    for pending in described.raw_description.pending_activities:
        if pending.activity_type.name == step.name:
            for each in crew:
                if f"/{each.pid}" in pending.last_worker_identity:
                    return each
    return crew[0]


async def stopped(crew: list[Program], asked: Program, *, within: float) -> None:
    """SIGTERM, and a clean end in so many seconds."""
    crew.remove(asked)
    began = time.monotonic()
    await asyncio.to_thread(asked.stop)
    assert time.monotonic() - began < within, asked.tail()
    assert "worker stopped" in asked.tail(), asked.tail()


async def done(play: Play, step: Step[Any, Any], *, within: float) -> list[Row]:
    """The step's rows, once all of them are done."""
    status = await play.until(
        lambda status: all(row.state is State.DONE for row in status.rows if row.name == step.name), within
    )
    return [row for row in status.rows if row.name == step.name]


async def at_soak(play: Play) -> float:
    """When it began, in seconds since 1970."""
    status = await play.at(steps.SOAK.name)
    [began] = [row.started for row in status.rows if row.name == steps.SOAK.name]
    assert began is not None
    return began.timestamp()
