"""How long the recorded histories take to replay: `python -m tests.replay_times`, a line a history, beside an empty workflow.

Replaying is what a worker does with a release it does not remember: after a restart, once for each that waits. The
milliseconds are this machine's, passed and worked: on a machine that is busy with other things more pass than are
worked, and on a processor that is shared with other machines more are worked than the work takes. So what counts is the
fastest of several replays: nothing makes one faster than its work. Its ratio to the empty workflow's, replayed in turn
with the others, travels. Each replayer is told of the one
workflow it replays: it looks over all it is told of, each time, what a worker does once as it starts.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from typing import Any, NamedTuple

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from process.ending import end
from process.runner import Runner
from runbook import names
from tests.empty_workflow import EMPTY, EMPTY_WORKFLOW, Empty, empty_history
from tests.record_histories import FOLDER, lane_of
from workflows.drift_check import DriftWorkflow
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

_WORKFLOWS: dict[str, type] = {
    names.RELEASE_WORKFLOW: ReleaseWorkflow,
    names.ROLLBACK_WORKFLOW: RollbackWorkflow,
    names.DRIFT_WORKFLOW: DriftWorkflow,
    EMPTY_WORKFLOW: Empty,
}
GOAL = 150.0
"""Milliseconds, for each history."""


class Took(NamedTuple):
    """Milliseconds."""

    passed: float
    worked: float


async def replayed(replayer: Replayer, lane: str, history: str) -> Took:
    told = WorkflowHistory.from_json(lane, history)
    began, worked = time.perf_counter(), time.process_time()
    await replayer.replay_workflow(told)
    return Took((time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000)


async def measured(times: int, *, sandboxed: bool) -> dict[str, list[Took]]:
    """Each replay of each history; all in turn, so that other work on the machine meets them all."""
    runner = Runner() if sandboxed else UnsandboxedWorkflowRunner()
    replayers = {
        name: Replayer(workflows=[workflow], data_converter=pydantic_data_converter, workflow_runner=runner)
        for name, workflow in _WORKFLOWS.items()
    }
    told = {EMPTY: empty_history()}
    told |= {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}
    took: dict[str, list[Took]] = {name: [] for name in told}
    for turn in range(times + 1):
        for name, history in told.items():
            one = await replayed(replayers[_workflow(history)], lane_of(name), history)
            if turn:  # the first is for warming up
                took[name].append(one)
    return took


def table(took: dict[str, list[Took]]) -> list[str]:
    """Medians, the fastest, and its ratio to the empty workflow's."""
    empty = fastest(took[EMPTY])
    lines = [f"{'history':36} {'events':>6} {'passed ms':>9} {'worked ms':>9} {'fastest':>9} {'ratio':>6}"]
    for name, replays in took.items():
        passed = statistics.median(one.passed for one in replays)
        worked = statistics.median(one.worked for one in replays)
        least = fastest(replays)
        lines.append(f"{name:36} {_events(name):>6} {passed:9.1f} {worked:9.1f} {least:9.1f} {least / empty:6.1f}")
    return lines


def _workflow(history: str) -> str:
    """The name of the workflow of which this is a run."""
    [started, *_] = json.loads(history)["events"]
    return str(started["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])


def fastest(replays: list[Took]) -> float:
    """Milliseconds of work."""
    return min(one.worked for one in replays)


def _events(name: str) -> Any:
    return "" if name == EMPTY else len(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["events"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9, help="how often each history is replayed")
    parser.add_argument("--unsandboxed", action="store_true", help="without the SDK's sandbox, to see what that costs")
    asked = parser.parse_args()
    took = asyncio.run(measured(asked.times, sandboxed=not asked.unsandboxed))
    print("\n".join(table(took)))  # noqa: T201 - a command's answer
    slow = [name for name, replays in took.items() if fastest(replays) > GOAL]
    print(f"always worked for more than {GOAL:g} ms: {', '.join(slow) or 'none'}; load {os.getloadavg()[0]:.1f}")  # noqa: T201 - a command's answer
    return 1 if slow else 0


if __name__ == "__main__":
    end(main())
