"""What every test may ask for, and the order in which they run."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.nursery import Nursery
from tests.servers import TemporalServer, temporal_server

# Whatever takes long begins first, or all the others wait for it at the end.
_FIRST = ("hosts", "e2e", "browser", "workflows", "test_starter.py", "test_worker.py")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(item.path))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_together(item.path)))


def pytest_collection_finish() -> None:
    """What is imported stays: a collector that looks through it again and again holds up workflow tasks for seconds."""
    gc.collect()
    gc.freeze()


def _rank(path: Path) -> int:
    part = path.relative_to(_HERE).parts[0]
    return _FIRST.index(part) if part in _FIRST else len(_FIRST)


def _together(path: Path) -> str:
    """Whole files share a process, and what they start there; a fleet of hosts is so heavy that there is only one."""
    name = str(path.relative_to(_HERE))
    return "hosts" if name.startswith("hosts/") else name


@pytest.fixture(scope="session")
def nursery() -> Generator[Nursery]:
    """Forks of worker.py and starter.py, for tests that start them again and again."""
    with Nursery("worker", "starter") as nursery:
        yield nursery


@pytest.fixture(scope="session")
def temporal() -> Generator[TemporalServer]:
    """One real Temporal server for the whole session: use a project name of your own, and don't kill it."""
    with temporal_server() as server:
        yield server
