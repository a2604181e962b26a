"""What every test may ask for."""

from collections.abc import Generator

import pytest

from tests.servers import TemporalServer, temporal_server


@pytest.fixture(scope="session")
def temporal() -> Generator[TemporalServer]:
    """One real Temporal server for the whole session: use a project name of your own, and don't kill it."""
    with temporal_server() as server:
        yield server
