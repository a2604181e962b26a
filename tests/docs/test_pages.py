"""What the pages say of the tree is so: links, files, keys, decisions, dependencies, versions."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from pydantic import BaseModel

from process.settings import StarterSettings, WorkerSettings
from runbook.project import Project
from tests.docs.pages import PAGES, ROOT, blocks, name_of

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TOML = [(name_of(page), block) for page in PAGES for block in blocks(page, "toml")]


def anchors(page: Path) -> set[str]:
    """Those that a forge makes of headings, and those that are written out."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    folders = "runbook|workflows|activities|process|console|deploy|tests|docs"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+|\w+\.py)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    ours = {f"RUNBOOK_{field.upper()}" for field in {*WorkerSettings.model_fields, *StarterSettings.model_fields}}
    # Of the Compose file, not of the worker.
    ours |= {"RUNBOOK_CONFIG", "RUNBOOK_TOOLS"}
    assert set(re.findall(r"\bRUNBOOK_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8"))) <= ours


@pytest.mark.parametrize(("page", "block"), TOML)
def test_every_key_that_a_page_shows_is_a_key_of_a_project_s_file(page: str, block: str) -> None:
    tables = tomllib.loads(block)
    assert tables
    unknown(tables, Project, page)


def unknown(tables: dict[str, Any], model: type[BaseModel], path: str) -> None:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in tables.items():
        assert key in fields, f"{path}: there is no key {key}"
        inner = fields[key].annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            unknown(value, inner, f"{path} [{key}]")


def test_decisions_are_numbered_without_a_gap_and_at_most_40_lines_long() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for page in DECISIONS:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 40, page.name
        assert re.fullmatch(rf"# {int(page.name[:4])}\. \S.*", lines[0]), page.name
        assert lines[2].startswith("Status: "), page.name


def test_every_decision_says_why_what_and_what_follows() -> None:
    for page in DECISIONS:
        if "dependencies" not in page.name:
            headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert headings == ["Context", "Decision", "Consequences"], page.name


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for texts in project["optional-dependencies"].values() for text in texts)]
    page = (ROOT / "docs" / "decisions" / "0011-dependencies.md").read_text(encoding="utf-8")
    given = {
        name for cell in re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    }
    assert given == {Requirement(text).name for text in texts}


def test_the_changelog_s_newest_version_is_the_project_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version
    assert f"release-runbook:{version}" in (ROOT / "deploy" / "compose.yaml").read_text()
    assert f"release-runbook:{version}" in (ROOT / "deploy" / "Dockerfile").read_text()
