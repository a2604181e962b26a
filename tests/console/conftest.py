"""An operator, with a worker and without."""

from collections.abc import AsyncGenerator

import pytest

from tests.operators import Operator, new_operator
from tests.servers import TemporalServer


@pytest.fixture
async def idle(temporal: TemporalServer) -> Operator:
    """No worker runs."""
    return await new_operator(temporal)


@pytest.fixture
async def operator(idle: Operator) -> AsyncGenerator[Operator]:
    """A worker runs."""
    idle.crew.searchable = True
    async with idle.working():
        yield idle
