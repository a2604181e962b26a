"""The certificate's table: a row a point, a column a fault."""

import os
import platform
import shlex
from collections import defaultdict
from pathlib import Path

from tests.chaos.cells import Cell
from tests.chaos.fault import ALL
from tests.chaos.sweep import Swept


def written(swept: Swept, everything: list[Cell], words: list[str]) -> str:
    """Markdown: what was run, where, the figures, and every point with each of its faults."""
    return "\n".join(
        [
            f"Command: `python -m tests.chaos {shlex.join(_public(words))}`",
            "",
            f"Machine: {machine()}",
            "",
            _extent(swept, everything),
            "",
            f"`{swept.last_line()}`",
            "",
            f"Notices told twice (by design, see above): {swept.told_twice}.",
            "",
            *_wrong(swept),
            *_by_step(swept, everything),
            "",
            *_by_point(swept, everything),
            "",
        ]
    )


def _extent(swept: Swept, everything: list[Cell]) -> str:
    points = len({cell.point for cell in everything})
    played = f"{len(swept.outcomes)} played in {swept.runs} runs and {swept.seconds / 60:.0f} minutes"
    sittings = f", in {swept.sittings} sittings" if swept.sittings > 1 else ""
    return f"{points} points and {len(everything)} cells in all, {played}{sittings}."


def machine() -> str:
    """What it ran on, without a name."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return (
        f"{os.cpu_count()} cores, {int(memory.split()[1]) / 1024**2:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _public(words: list[str]) -> list[str]:
    """Without folders of this machine."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in {"--root", "--report", "--checkout", "--journal"}:
            skip = not skip
            continue
        kept.append(word)
    return kept


def _wrong(swept: Swept) -> list[str]:
    lines = [
        f"- `{cell.fault}` at `{cell.point}`: {'; '.join(outcome.faults)[:300]}"
        for cell, outcome in swept.outcomes.items()
        if outcome.faults
    ]
    lines += [f"- several together, each well alone: {text[:400]}" for text in swept.together]
    unreached = [cell for cell, outcome in swept.outcomes.items() if not outcome.reached]
    lines += [f"- not passed by three runs, so not counted: `{cell.fault}` at `{cell.point}`" for cell in unreached]
    return ["What did not come out well:", "", *lines, ""] if lines else []


def _step(cell: Cell) -> str:
    kind, _, rest = cell.point.partition("/")
    return f"{kind}/{rest.partition('/')[0].partition('@')[0].partition('[')[0]}"


def _by_step(swept: Swept, everything: list[Cell]) -> list[str]:
    """Well of played, for every step and fault."""
    all_of: dict[tuple[str, str], int] = defaultdict(int)
    played: dict[tuple[str, str], int] = defaultdict(int)
    well: dict[tuple[str, str], int] = defaultdict(int)
    for cell in everything:
        key = (_step(cell), cell.fault)
        all_of[key] += 1
        outcome = swept.outcomes.get(cell)
        if outcome and outcome.reached:
            played[key] += 1
            well[key] += not outcome.faults
    rows = []
    for step in dict.fromkeys(_step(cell) for cell in everything):
        values = [_share(well[step, f], played[step, f], all_of[step, f]) for f in ALL]
        rows.append(f"| {step} | {' | '.join(values)} |")
    return ["## By step: well of played", "", _head("step"), *rows]


def _share(well: int, played: int, everything: int) -> str:
    return f"{well}/{played}" if played else ("-" if everything else "")


def _by_point(swept: Swept, everything: list[Cell]) -> list[str]:
    rows = []
    for scenario, point in dict.fromkeys((cell.scenario, cell.point) for cell in everything):
        values = [_sign(swept, Cell(scenario, point, fault), everything) for fault in ALL]
        if any(value in {"✓", "✗"} for value in values):
            rows.append(f"| `{point}` | {' | '.join(values)} |")
    legend = "✓ completed, nothing twice, nobody needed · ✗ not · - not in this sample · blank: can't happen there"
    return ["## By point", "", legend, "", _head("point"), *rows]


def _sign(swept: Swept, cell: Cell, everything: list[Cell]) -> str:
    outcome = swept.outcomes.get(cell)
    if outcome is None:
        return "-" if cell in _known(everything) else ""
    return "-" if not outcome.reached else "✗" if outcome.faults else "✓"


_sets: dict[int, set[Cell]] = {}


def _known(everything: list[Cell]) -> set[Cell]:
    return _sets.setdefault(id(everything), set(everything))


def _head(first: str) -> str:
    return f"| {first} | {' | '.join(ALL)} |\n|---|{'---|' * len(ALL)}"
