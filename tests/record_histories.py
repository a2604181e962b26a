"""Records the histories that tests replay: `python -m tests.record_histories` writes those that are missing.

A history that was released with a version stands for the runs that wait at somebody's gate now: it stays as it is. Only
before the first release, or for a story that changed itself, is one recorded anew: `… --again NAME`.
"""

import argparse
import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from process.ending import end
from runbook import names
from tests.workflows.conftest import lane_of_tests, server_found
from tests.workflows.scenarios import DRIFT_CHECKS, HAS_CHILD, STORIES, told

FOLDER = Path(__file__).with_name("histories")
CHILD = "-child"

# What tells of the machine that recorded it.
_MACHINE = {"identity", "stickyTaskQueue", "workerVersion", "binaryChecksum", "stackTrace"}


def lane_of(name: str) -> str:
    """The workflow id of the run of which this history is."""
    if name in DRIFT_CHECKS:
        return names.drift_check("shop")
    return names.rollback_lane("shop") if name.endswith(CHILD) else names.lane("shop")


def scrubbed(value: Any) -> Any:
    """The history without the recording machine's names and paths, and without what replaying does not look at."""
    if isinstance(value, list):
        return [scrubbed(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _entry(name, each) for name, each in value.items() if name not in _MACHINE}


def _entry(name: str, value: Any) -> Any:
    if name == "taskQueue":
        return {"name": "release-runbook"}
    if name == "activityTaskScheduledEventAttributes":
        # What an activity was told is not compared: without it a history is a fifth as large.
        value = {key: each for key, each in value.items() if key != "input"}
    return scrubbed(value)


async def recorded(handle: WorkflowHandle[Any, Any]) -> str:
    """JSON, an event a line."""
    history = scrubbed((await handle.fetch_history()).to_json_dict())
    events = ",\n".join(json.dumps(event, sort_keys=True, separators=(",", ":")) for event in history["events"])
    return f'{{"events":[\n{events}\n]}}\n'


async def record(server: str, name: str) -> None:
    async with lane_of_tests(server) as lane, lane.working():
        handle = await told(lane, name)
        _write(name, await recorded(handle))
        if name in HAS_CHILD:
            _write(f"{name}{CHILD}", await recorded(lane.child))


def _write(name: str, history: str) -> None:
    path = FOLDER / f"{name}.json"
    path.write_text(history, encoding="utf-8")
    print(f"{path.relative_to(Path.cwd())}: {len(history)} bytes")  # noqa: T201 - a command's answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", nargs="*", choices=STORIES, help="record these anew, all when none is named")
    again: list[str] | None = parser.parse_args().again
    FOLDER.mkdir(exist_ok=True)
    logging.disable()  # the stories are full of failures
    missing = [name for name in STORIES if not (FOLDER / f"{name}.json").exists()]
    for name in missing if again is None else again or STORIES:
        asyncio.run(record(server_found(), name))


if __name__ == "__main__":
    main()
    end(0)
