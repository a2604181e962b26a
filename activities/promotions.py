"""Releases that set out to change production, and what their outcomes say became of that."""

from activities.clients.ledger_table import Row
from runbook import names, steps

ACTIONS = (steps.DRIFT.name, steps.SWAP.name)
"""The actions of the rows by which a release sets out.

The last look (`drift`) comes after every way back is recorded, and the first swap follows at once: a worker killed in that
swap leaves no row of it. A row `way-back` would say too much. After it a release may wait for hours, for another host or
for its window, and be terminated there with production untouched.
"""


class Promotions:
    """Each is one run of one version. What ends well, or is put back, leaves production in a state that is known."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._swapped: set[str] = set()
        self._over: set[str] = set()

    @property
    def broken_off(self) -> bool:
        """Whether one may have left production as nobody knows."""
        return bool(self._open)

    def knows(self, row: Row) -> bool:
        """Whether the row is of a release that set out, or of the rollback that one started."""
        return _is_rollback(row) or row.release in self._open or row.release in self._over

    def set_out(self, row: Row) -> bool:
        """It looked for the last time, or did, failed at or was cancelled in a swap.

        True where what it found on the hosts is what an end in a known state had left there.
        """
        # A row of an attempt that was cancelled may come late: what became of its run is known already.
        if row.release in self._over:
            return False
        is_first = not self._open
        self._open.setdefault(row.release, row.version)
        if row.action == steps.SWAP.name:
            self._swapped.add(row.release)
        return is_first

    def all_over(self, row: Row) -> None:
        """This run gave every host what is known to be good."""
        self._over |= {*self._open, row.release}
        self._open.clear()

    def put_back(self, row: Row) -> None:
        """A release's own rollback ended well: production is what it was before that release, broken off before or not.

        Its rollback says so first, in a run of its own; the release itself only where nobody terminated it meanwhile.
        """
        self._end(self._run_of_rollback(row) if _is_rollback(row) else row.release)

    def aborted(self, row: Row) -> None:
        """Untouched where the release got to no swap; anything where its rollback was given up."""
        if _is_rollback(row):
            self._swapped.add(self._run_of_rollback(row))
        elif row.release not in self._swapped:
            self._end(row.release)

    def _run_of_rollback(self, row: Row) -> str:
        """The release that the rollback in this row belongs to: the newest of that version."""
        return next((run for run, version in reversed(self._open.items()) if version == row.version), "")

    def _end(self, run: str) -> None:
        self._over.add(run)
        self._open.pop(run, None)


def _is_rollback(row: Row) -> bool:
    """Started by a release."""
    return row.workflow == names.rollback_lane(row.project)
