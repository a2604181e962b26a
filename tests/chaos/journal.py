"""What a sweep found so far, kept after each run: one that was ended is gone on with, `--journal` names the file."""

import json
from dataclasses import asdict
from pathlib import Path

from tests.chaos.cells import Cell
from tests.chaos.sweep import Outcome, Swept

_FIGURES = ("together", "runs", "duplicates", "human", "mixed", "told_twice", "seconds", "sittings")


def kept(path: Path | None) -> Swept:
    """From this file, where there is one; otherwise nothing yet."""
    if path is None or not path.exists():
        return Swept()
    told = json.loads(path.read_text(encoding="utf-8"))
    outcomes = {Cell(*cell): Outcome(**outcome) for cell, outcome in told.pop("outcomes")}
    return Swept(outcomes, **told)


def keep(path: Path, swept: Swept) -> None:
    """All of it, or what was there before."""
    outcomes = [[[cell.scenario, cell.point, cell.fault], asdict(outcome)] for cell, outcome in swept.outcomes.items()]
    figures = {name: getattr(swept, name) for name in _FIGURES}
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps({"outcomes": outcomes, **figures}), encoding="utf-8")
    new.replace(path)
