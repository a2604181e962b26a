"""The faults, and which of them can happen at which point."""

import json
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

KILL, STOP = "kill", "stop"
KILL_OWNER = "kill-owner"
"""At the gate: the worker that holds the release in its memory, and nobody is waited for before the signal."""
TEMPORAL, TEMPORAL_20 = "temporal", "temporal-20s"
CUT_BEFORE, CUT_AFTER, TIMEOUT = "cut-before", "cut-after", "timeout"
ERROR, BUSY = "500", "429"
LOCKED, DISK_FULL, CLOCK = "ledger-locked", "disk-full", "clock"

ANYWHERE = (KILL, STOP, TEMPORAL, TEMPORAL_20)
AWAITED = (TEMPORAL, TEMPORAL_20, LOCKED)
"""What the harness brings about while the worker waits at the point."""
_WIRE = (CUT_BEFORE, CUT_AFTER, ERROR, BUSY)

ON_THE_WIRE = (*_WIRE, TIMEOUT)

# What the last part of a point's name looks like, and what can happen there besides.
_BESIDES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("*/http *:before", (*_WIRE, TIMEOUT)),
    ("*/git *:before", (*_WIRE, DISK_FULL)),
    ("*/engine *:before", (CUT_BEFORE, CUT_AFTER, ERROR)),
    ("*/notify*:before", (CUT_BEFORE, CUT_AFTER)),
    ("*/ledger*:before", (LOCKED, DISK_FULL)),
    ("*@*/begun", (CLOCK,)),
    ("*/begun", (DISK_FULL,)),
)
# Where the harness itself is at the gate; the engine of no host is called there.
GATE_POINTS = ("gate/open", "gate/approved")
ALL = (*ANYWHERE, *_WIRE, TIMEOUT, LOCKED, DISK_FULL, CLOCK)


@dataclass(frozen=True)
class Shot:
    """A fault at a point, of which there is one in a run; `number` names its files."""

    number: int
    point: str
    fault: str


def faults_of(point: str) -> list[str]:
    """A 500 to a start is how an engine says that the container can't be started: the answer to that is to put back."""
    found = list(ANYWHERE)
    for pattern, faults in _BESIDES:
        if fnmatchcase(point, pattern):
            found += [fault for fault in faults if fault not in found]
    if fnmatchcase(point, "*/engine POST */start*"):
        found = [fault for fault in found if fault != ERROR]
    return found


def write_shots(plan: Path, run: Path, shots: list[Shot]) -> None:
    new = plan.with_suffix(".new")
    new.write_text(json.dumps({"run": str(run), "shots": [asdict(shot) for shot in shots]}))
    new.replace(plan)


def read_shots(plan: Path) -> tuple[Path, list[Shot]]:
    told = json.loads(plan.read_text())
    return Path(told["run"]), [Shot(**shot) for shot in told["shots"]]
