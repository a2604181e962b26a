"""What every test may ask for, and the order in which they run."""

import gc
from collections.abc import Generator

import pytest
from xdist.remote import Producer

from tests.nursery import Nursery
from tests.order import Together, ordered
from tests.servers import TemporalServer, temporal_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = ordered(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_collection_finish() -> None:
    """What is imported stays: a collector that looks through it again and again holds up workflow tasks for seconds."""
    gc.collect()
    gc.freeze()


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
