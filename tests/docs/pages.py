"""The pages that people read, taken apart."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")])

_FENCE = re.compile(r"^( *)```([\w-]*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return [found[2] for found in _FENCE.findall(page.read_text(encoding="utf-8")) if found[1] == language]


def commands(page: Path) -> list[list[str]]:
    """Every command line of the page's `sh` blocks and of its inline code, as words; comments and `\\`-ends are joined."""
    text = page.read_text(encoding="utf-8")
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`((?:make|python|temporal|docker|docker-compose) [^`\n]+)`", _FENCE.sub("", text))
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def of_program(*program: str) -> list[tuple[str, list[str]]]:
    """The pages and words of every command that begins with these words; the words come without them."""
    return [
        (name_of(page), words[len(program) :])
        for page in PAGES
        for words in commands(page)
        if words[: len(program)] == list(program)
    ]
