"""Writes the pages that are generated from the code; `--check` only says which of them are out of date."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.project_page import project_page, project_schema
from docs.readme_page import readme
from docs.runbook_page import runbook_page

ROOT = Path(__file__).resolve().parents[1]
PAGES: Mapping[str, Callable[[], str]] = {
    "README.md": readme,
    "docs/runbook.md": runbook_page,
    "docs/project-file.md": project_page,
    "deploy/projects/project.schema.json": project_schema,
}


def outdated() -> list[str]:
    """The pages that differ from what the code says now."""
    return [name for name, page in PAGES.items() if not _is(ROOT / name, page())]


def main() -> int:
    late = outdated()
    if "--check" in sys.argv[1:]:
        for name in late:
            print(f"{name} is out of date: run `make docs` and commit it", file=sys.stderr)
        return 1 if late else 0
    for name in late:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"{name} written")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
