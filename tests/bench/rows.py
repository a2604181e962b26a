"""What a row of the ledger costs: its chain, its transaction alone, and that no row is kept twice."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from activities.clients.ledger import Ledger
from runbook.message import ReleaseRef
from runbook.record import EntriesToKeep, Entry
from tests.bench.line import Line

_ROWS = 200
_REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
)


async def lines() -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ours, bare = await _kept(Path(folder))
    what = f"a row of the ledger kept (SQLite; {1 / ours:.0f} a second)"
    return [Line(what, ours, "a row inserted and committed", bare)]


async def _kept(folder: Path) -> tuple[float, float]:
    """Medians, each row in turn with a bare one beside it."""
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("CREATE TABLE bare (seq INTEGER PRIMARY KEY, event TEXT)")
    ours, theirs = list[float](), list[float]()
    for number in range(_ROWS):
        entry = Entry(event=f"run/{number}", actor="worker", action="swap", place="shop-1", outcome="done")
        order = EntriesToKeep(ref=_REF, entries=[entry])
        began = time.perf_counter()
        await ledger.keep(order, order.entries)
        between = time.perf_counter()
        bare.execute("INSERT INTO bare VALUES (?, ?)", (number, entry.event))
        ours.append(between - began)
        theirs.append(time.perf_counter() - between)
    bare.close()
    ledger.close()
    return statistics.median(ours), statistics.median(theirs)
