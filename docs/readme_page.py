"""The parts of README.md that the code knows better: the board as it was recorded, and what the exit statuses mean."""

import re
from pathlib import Path

from console.exit_status import ExitStatus

ROOT = Path(__file__).resolve().parents[1]


def readme() -> str:
    """README.md with its marked parts filled anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    recorded = (ROOT / "docs" / "board.txt").read_text(encoding="utf-8")
    for name, content in (("board", f"```text\n{recorded}```"), ("exit-statuses", _exit_statuses())):
        text = _filled(text, name, content)
    return text


def _filled(text: str, name: str, content: str) -> str:
    """Raises ValueError where the part isn't marked exactly once."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    filled, found = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}{content}\n{end}", text, flags=re.DOTALL)
    if found != 1:
        raise ValueError(f"README.md has {found} parts between {begin.strip()} and {end}: there must be one")
    return filled


def _exit_statuses() -> str:
    rows = [f"| {status.value} | {status.meaning} |" for status in ExitStatus]
    return "\n".join(["| status | means |", "| --- | --- |", *rows])
