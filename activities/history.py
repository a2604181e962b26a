"""What production has run, as the ledger's rows of one project tell it."""

from collections.abc import Iterable

from pydantic import ValidationError

from activities.clients.ledger_table import Row
from runbook import steps
from runbook.plan import GoodVersion
from runbook.status import Outcome

OUTCOME = "outcome"
ACTIONS = (OUTCOME, steps.SWAP.name)
"""The actions whose rows a history is read from."""


class History:
    """The versions whose release ended well, and which of them production is on.

    A row `outcome` `released` puts its version on top; a row `rolled_back` to one of them takes off all above
    it. A swap to a version never released, with no outcome after it, is a release that was broken off.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._released: dict[str, GoodVersion] = {}
        self._standing: list[str] = []
        self._broken_off = False
        for row in rows:
            self._follow(row)

    @property
    def good_versions(self) -> list[GoodVersion]:
        """Every version released, the newest first."""
        return sorted(self._released.values(), key=lambda good: good.released_at, reverse=True)

    @property
    def last_good(self) -> GoodVersion | None:
        """The good version that production is on, or was before a release that was broken off."""
        return self._released[self._standing[-1]] if self._standing else None

    @property
    def before(self) -> GoodVersion | None:
        """Where a rollback by hand goes: the good version before the one that runs."""
        if self._broken_off:
            return self.last_good
        return self._released[self._standing[-2]] if len(self._standing) > 1 else None

    def released(self, version: str) -> GoodVersion | None:
        return self._released.get(version)

    def _follow(self, row: Row) -> None:
        if row.action == steps.SWAP.name:
            self._broken_off |= row.outcome == "done" and row.version not in self._released
        elif row.outcome == Outcome.RELEASED:
            self._broken_off = False
            self._rise(row)
        elif row.outcome == Outcome.ROLLED_BACK:
            self._broken_off = False
            self._sink(row)

    def _sink(self, row: Row) -> None:
        """A rollback by hand may be known by its image alone: its run began before the version was."""
        for index in reversed(range(len(self._standing))):
            version = self._standing[index]
            if version == row.version or self._released[version].digest == row.digest:
                del self._standing[index + 1 :]
                return

    def _rise(self, row: Row) -> None:
        try:
            good = GoodVersion(
                version=row.version, digest=row.digest, released_at=row.at, approved_by=list(row.evidence)
            )
        except ValidationError:  # a row without a digest names nothing that could be run again
            return
        self._released[row.version] = good
        self._standing = [version for version in self._standing if version != row.version] + [row.version]
