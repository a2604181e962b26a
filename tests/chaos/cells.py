"""Cells of the certificate, a point and a fault each; which of them share a run, and what became of them."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from runbook import steps
from tests.chaos.fault import GATE_POINTS, ON_THE_WIRE, TEMPORAL_20, Shot, faults_of
from tests.chaos.run import GATE, RELEASE, ROLLBACK

_MOST_LONG = 2
_HOST_AFTER_HOST = {steps.SWAP.name, steps.HEALTH.name}
# Each of these steps bears three deaths of a worker before it asks for a person.
_FEW_TRIES = {steps.UAT.name, steps.SCAN.name, steps.SMOKE_TEST.name}
_PREREQUISITES, _BESIDE = "prerequisites", "aside"
# How many of one run may hit a phase that has many steps, each another one: the others have one each.
_MOST_TOGETHER = {_PREREQUISITES: 2, _BESIDE: 3}
_FIRST_ROW = "[release ordered]"
_ASIDE = {steps.NOTIFY.name, steps.REMIND.name, steps.LEDGER.name}


@dataclass(frozen=True)
class Cell:
    scenario: str
    point: str
    fault: str

    @property
    def step(self) -> str:
        return "/".join(self.point.split("/")[:2])

    @property
    def phase(self) -> str:
        """Steps that go on side by side are of one phase: one worker less hits them all, a cut connection only one."""
        kind, _, step = self.point.rpartition(":")[0].partition("/") if ":" in self.point else self.point.partition("/")
        name, _, host = step.partition("/")[0].partition("@")
        bare = name.partition("[")[0]
        if bare in _ASIDE and _FIRST_ROW not in name:
            return _BESIDE
        if self.fault in ON_THE_WIRE and bare not in _FEW_TRIES:
            return f"{kind}/{name}@{host}"
        if _FIRST_ROW in name or any(bare == each.name for each in steps.PREREQUISITES):
            return _PREREQUISITES
        return f"{kind}/{bare}@{host}" if bare in _HOST_AFTER_HOST else f"{kind}/{bare}"


def all_cells(points: Mapping[str, Iterable[str]]) -> list[Cell]:
    """Each point in the first scenario that passes it; the gate's own in both ways to leave it."""
    found: list[Cell] = []
    seen: set[str] = set()
    for scenario in (RELEASE, ROLLBACK, GATE):
        new = [point for point in points[scenario] if point not in seen]
        seen.update(new)
        at_gate = GATE_POINTS if scenario in {RELEASE, GATE} else ()
        found += [Cell(scenario, point, fault) for point in [*new, *at_gate] for fault in faults_of(point)]
    return found


def chosen(
    cells: list[Cell], *, seed: int, sample: int | None, points: str = "*", faults: Iterable[str] = ()
) -> list[Cell]:
    """Of those that fit the filters, a sample in an order that only the seed decides."""
    wanted = set(faults)
    fitting = [cell for cell in cells if fnmatchcase(cell.point, points) and (not wanted or cell.fault in wanted)]
    random.Random(seed).shuffle(fitting)
    return fitting[:sample]


def packed(cells: list[Cell], most: int) -> list[list[Cell]]:
    """Runs of at most so many cells of one scenario, no two of them in one phase that is one step's."""
    runs: list[list[Cell]] = []
    for cell in cells:
        for run in runs:
            if len(run) < most and _fits(cell, run):
                run.append(cell)
                break
        else:
            runs.append([cell])
    return runs


def shots(run: list[Cell]) -> list[Shot]:
    return [Shot(number, cell.point, cell.fault) for number, cell in enumerate(run, 1)]


def _fits(cell: Cell, run: list[Cell]) -> bool:
    beside = [other for other in run if other.phase == cell.phase]
    room = _MOST_TOGETHER.get(cell.phase, 1)
    if run[0].scenario != cell.scenario or len(beside) >= room or cell.step in {other.step for other in beside}:
        return False
    return cell.fault != TEMPORAL_20 or sum(other.fault == TEMPORAL_20 for other in run) < _MOST_LONG
