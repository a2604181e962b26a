"""The house as a whole: who may import whom, who performs which step, and how long a file may get."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import activities
from runbook import steps

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 300
OURS = ("runbook", "workflows", "activities", "process", "console", "deploy", "docs", "tests")


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def bound() -> list[str]:
    """The wire name of every activity that a class in `activities` has."""
    names: list[str] = []
    for module in modules_of(activities):
        for _, owner in inspect.getmembers(module, inspect.isclass):
            if owner.__module__ != module.__name__:
                continue
            definitions = (getattr(method, "__temporal_activity_definition", None) for method in vars(owner).values())
            names += [definition.name for definition in definitions if definition is not None]
    return names


def python_files() -> list[Path]:
    files = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    return [*files, *ROOT.glob("*.py")]


def linted(code: str, path: str) -> str:
    """What the linter says of this code, were it the file at this path."""
    ruff = [
        str(Path(sys.executable).with_name("ruff")),
        "check",
        "--select=TID251",
        "--output-format=concise",
        "--no-cache",
    ]
    ended = subprocess.run(
        [*ruff, f"--stdin-filename={path}", "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in {0, 1}, ended.stderr
    return ended.stdout


def test_nobody_imports_what_its_layer_may_not() -> None:
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    ended = subprocess.run(
        lint, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from time import monotonic",
        "from datetime import datetime\n\nNOW = datetime.now()",
        "import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)",
        "from datetime import date\n\nTODAY = date.today()",
        "import random",
        "import secrets",
        "from uuid import uuid4",
        "import zoneinfo",
        "from threading import Thread",
        "from concurrent.futures import ThreadPoolExecutor",
        "import asyncio\n\nWAIT = asyncio.wait",
        "import asyncio\n\nWAIT = asyncio.to_thread",
    ],
)
def test_what_replaying_does_not_give_back_is_refused_where_workflows_run(code: str) -> None:
    for refused in ("workflows/gate.py", "runbook/board.py"):
        assert "TID251" in linted(code, refused)
    for allowed in (
        "activities/health.py",
        "process/runner.py",
        "console/lane.py",
        "worker.py",
        "tests/workflows/shapes.py",
    ):
        assert "TID251" not in linted(code, allowed)


def test_the_operator_s_program_can_be_had_without_what_the_worker_needs() -> None:
    imported = set(re.findall(r"^(?:from|import) (\w+)", (ROOT / "starter.py").read_text(), re.MULTILINE))
    assert imported & set(OURS) == {"console", "process", "runbook"}


def test_every_step_is_performed_by_exactly_one_activity() -> None:
    assert Counter(bound()) == Counter(step.name for step in steps.ALL)


def test_no_file_has_grown_too_long_to_be_about_one_thing() -> None:
    long = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert len(long) > 100
    assert {str(path): lines for path, lines in long.items() if lines > LONGEST} == {}


def test_every_module_says_in_its_first_sentence_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if "tests" not in path.relative_to(ROOT).parts and not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []
