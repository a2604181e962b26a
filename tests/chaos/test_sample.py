"""A reproducible part of the crash certificate: `make chaos` plays the rest."""

import tempfile
from pathlib import Path

import pytest

from tests.chaos.cells import all_cells, chosen, packed
from tests.chaos.sweep import Houses, recorded, sweep

SEED, CELLS, PER_RUN = 6, 14, 12

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


async def test_whatever_is_killed_or_cut_a_release_ends_as_it_should_and_does_nothing_twice() -> None:
    # A short path: the engines' UNIX sockets are below it.
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:
        async with Houses(Path(folder), 2) as houses:
            points = await recorded(houses.players)
            cells = chosen(all_cells(points), seed=SEED, sample=CELLS)
            swept = await sweep(houses.players, packed(cells, PER_RUN))
    wrong = {cell: outcome.faults for cell, outcome in swept.outcomes.items() if outcome.faults}
    assert not wrong
    assert set(swept.outcomes) == set(cells)
    assert sum(not outcome.reached for outcome in swept.outcomes.values()) < CELLS / 4
    assert swept.is_good, (swept.last_line(), swept.together)
