"""What production has run, as the ledger's rows of one project tell it."""

from collections.abc import Iterable

from pydantic import ValidationError

from activities import promotions
from activities.clients.ledger_table import Row
from activities.promotions import Promotions
from runbook import steps
from runbook.plan import GoodVersion
from runbook.status import Outcome
from runbook.way_back import RanBefore, agreed

OUTCOME = "outcome"
ACTIONS = (OUTCOME, steps.WAY_BACK.name, *promotions.ACTIONS)
"""The actions whose rows a history is read from."""


class History:
    """The versions whose release ended well, and which of them production is on.

    A row `outcome` `released` puts its version on top; a row `rolled_back` to one of them takes off all above it, or
    puts back on top what was taken off before. A promotion of a version never released, with no outcome that says what
    production is now, is a release that was broken off.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._released: dict[str, GoodVersion] = {}
        self._standing: list[str] = []
        self._promotions = Promotions()
        self._ways_back: dict[str, dict[str, RanBefore | None]] = {}
        self._found: RanBefore | None = None
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
        if self._promotions.broken_off:
            return self.last_good or self.ran_before
        if len(self._standing) > 1:
            return self._released[self._standing[-2]]
        return self.ran_before if self._standing else None

    @property
    def ran_before(self) -> GoodVersion | None:
        """What every host ran before the first release, where all ran the same and its digest is on record.

        Not a version that was released as well: by its name nobody could tell which of the two is meant.
        """
        found = self._found
        if found is None or found.version in self._released:
            return None
        return GoodVersion(version=found.version, digest=found.digest, released_at="")

    def known(self, version: str) -> GoodVersion | None:
        """Where a rollback by hand to this version goes."""
        ran = self.ran_before
        return ran if ran and ran.version == version else self.released(version)

    def released(self, version: str) -> GoodVersion | None:
        return self._released.get(version)

    def _follow(self, row: Row) -> None:
        if row.action == steps.WAY_BACK.name:
            if row.outcome == "done":
                self._ways_back.setdefault(row.release, {})[row.place] = RanBefore.read(row.evidence)
        elif row.action in promotions.ACTIONS:
            self._set_out(row)
        elif row.outcome == Outcome.RELEASED:
            self._promotions.all_over(row)
            self._rise(row)
        elif row.outcome == Outcome.ROLLED_BACK:
            if not self._promotions.knows(row) and self._returned(row):
                self._promotions.all_over(row)
            else:
                self._promotions.put_back(row)
        elif row.outcome == Outcome.ABORTED:
            self._promotions.aborted(row)

    def _set_out(self, row: Row) -> None:
        if row.version in self._released:
            return
        # Every way back is recorded by now, so these are all hosts.
        if self._promotions.set_out(row) and not self._standing:
            self._found = agreed(self._ways_back.get(row.release, {}).values())

    def _returned(self, row: Row) -> bool:
        """Whether it was a rollback by hand: to a version that was good, on every host.

        It may be known by its image alone: its run began before the version was.
        """
        ran = self.ran_before
        if ran and (ran.version, ran.digest) == (row.version, row.digest):
            self._standing.clear()
            return True
        for index in reversed(range(len(self._standing))):
            version = self._standing[index]
            if version == row.version or self._released[version].digest == row.digest:
                del self._standing[index + 1 :]
                return True
        if row.version in self._released:
            self._standing.append(row.version)
            return True
        return False

    def _rise(self, row: Row) -> None:
        try:
            good = GoodVersion(
                version=row.version, digest=row.digest, released_at=row.at, approved_by=list(row.evidence)
            )
        except ValidationError:  # a row without a digest names nothing that could be run again
            return
        self._released[row.version] = good
        self._standing = [version for version in self._standing if version != row.version] + [row.version]
