"""Messages about when production may be changed."""

from datetime import datetime

from runbook.gate_table import GateTable
from runbook.message import Finding, Order


class WindowToCheck(Order):
    """May production be changed at `at`, by the windows and freezes of `policy`?"""

    policy: GateTable
    at: datetime


class ReleaseWindow(Finding):
    """`is_open` at the moment that was asked for. `opens` is the next opening, or None where none is to come;
    `closes` the end of the open time, None where it has none. Both are in UTC. `why` says it in the zone's own time.
    """

    is_open: bool
    opens: datetime | None = None
    closes: datetime | None = None
    why: str
