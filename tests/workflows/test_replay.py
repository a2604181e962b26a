"""Recorded histories of every kind are replayed by today's workflows: runs that wait at a gate now must go on."""

import json
import socket
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from process.runner import Runner
from tests.empty_workflow import EMPTY
from tests.record_histories import CHILD, FOLDER, lane_of, scrubbed
from tests.replay_times import measured
from tests.workflows.brief_release import LONGEST, BriefRelease
from tests.workflows.scenarios import HAS_CHILD, STORIES
from workflows.drift_check import DriftWorkflow
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

RECORDED = sorted(FOLDER.glob("*.json"))


async def replay(name: str, history: str, release: type[ReleaseWorkflow] = ReleaseWorkflow) -> None:
    replayer = Replayer(
        workflows=[release, RollbackWorkflow, DriftWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=Runner(),
    )
    try:
        await replayer.replay_workflow(WorkflowHistory.from_json(lane_of(name), history))
    except Exception as error:
        raise AssertionError(
            f"{name}: a run that began with an earlier version goes another way with this one: put what changed in "
            'workflows/ behind `if workflow.patched("what-changed")` (docs/operations.md). Only before the first release, '
            f"or when the story itself was changed: python -m tests.record_histories --again {name.removesuffix(CHILD)}"
        ) from error


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_run_of_an_earlier_version_goes_on_the_same_way(path: Path) -> None:
    await replay(path.stem, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["released", "expired", "cancelled-in-promotion", "released-by-two-after-junk"])
async def test_a_gate_of_an_earlier_version_stays_in_its_run_however_long_that_is(name: str) -> None:
    history = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert len(json.loads(history)["events"]) > LONGEST
    await replay(name, history, BriefRelease)


async def test_how_long_each_takes_can_be_measured() -> None:
    assert set(await measured(0, sandboxed=False)) == {EMPTY, *(path.stem for path in RECORDED)}


def test_there_is_a_history_of_every_kind() -> None:
    wanted = {*STORIES, *(f"{name}{CHILD}" for name in HAS_CHILD)}
    assert wanted <= {path.stem for path in RECORDED}, "record what is missing: python -m tests.record_histories"


async def test_a_run_that_would_go_another_way_is_found_and_the_way_out_named() -> None:
    history = (FOLDER / "released.json").read_text(encoding="utf-8")
    changed = history.replace('"verify-commit"', '"verify-the-commit"')
    assert changed != history
    with pytest.raises(AssertionError, match=r"workflow\.patched"):
        await replay("released", changed)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_history_is_small_and_tells_nothing_of_the_machine_that_recorded_it(path: Path) -> None:
    history = path.read_text(encoding="utf-8")
    assert len(history) < 150_000
    for word in (socket.gethostname(), str(Path.home()), str(FOLDER.parent.parent), "site-packages", "identity"):
        assert f'"{word}' not in history
        assert f"@{word}" not in history
        assert f"{word}/" not in history
    assert scrubbed(json.loads(history)) == json.loads(history)
