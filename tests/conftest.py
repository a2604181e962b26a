"""What every test may ask for, and the order in which they run."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.nursery import Nursery
from tests.servers import TemporalServer, temporal_server

# Whatever takes long begins first, or all the others wait for it at the end.
_FIRST = ("hosts", "e2e", "browser", "workflows", "test_starter.py", "test_worker.py")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(item.path))


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole files share a process, and what they start there; a fleet of hosts is so heavy that there is only one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "hosts" if "/hosts/" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return Together(config, log)


def pytest_collection_finish() -> None:
    """What is imported stays: a collector that looks through it again and again holds up workflow tasks for seconds."""
    gc.collect()
    gc.freeze()


def _rank(path: Path) -> int:
    part = path.relative_to(_HERE).parts[0]
    return _FIRST.index(part) if part in _FIRST else len(_FIRST)


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
