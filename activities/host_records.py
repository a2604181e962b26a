"""What each production host was left with and which drift people were told of, as the ledger's rows of one project tell."""

from collections.abc import Iterable

from activities.clients.ledger_table import Row
from activities.history import OUTCOME
from runbook import names, steps
from runbook.drift_check import ACTION, FOUND, GONE, StandingDrift
from runbook.host_state import HostRecord
from runbook.status import Outcome

ACTIONS = (OUTCOME, steps.PLAN_ROLLBACK.name, steps.RECORD_HOST.name, ACTION)
"""The actions whose rows the records are read from."""


class HostRecords:
    """`version`, `digest` and `at` are those of the last release or rollback by hand that ended well; empty without one.

    A run's records count once it ended well. A release and a rollback by hand reach every host, so a host without a record
    of theirs has none; a rollback that a release started reaches the hosts which that release touched.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.version = self.digest = self.at = ""
        self.told = 0
        self._records: dict[str, HostRecord] = {}
        self._standing: dict[str, StandingDrift] = {}
        self._open: dict[str, dict[str, HostRecord]] = {}
        self._by_hand: set[str] = set()
        for row in rows:
            self._follow(row)

    @property
    def records(self) -> list[HostRecord]:
        return list(self._records.values())

    @property
    def standing(self) -> list[StandingDrift]:
        return list(self._standing.values())

    def _follow(self, row: Row) -> None:
        if row.action == OUTCOME and row.outcome in set(Outcome):
            self._end(row, self._open.pop(row.release, {}))
        elif row.action == ACTION:
            self._tell(row)
        elif row.outcome != "done":
            return
        elif row.action == steps.PLAN_ROLLBACK.name:
            self._by_hand.add(row.release)
        else:
            record = HostRecord.read(row.place, row.version, row.at, row.evidence)
            if record is not None:
                self._open.setdefault(row.release, {})[row.place] = record

    def _end(self, row: Row, recorded: dict[str, HostRecord]) -> None:
        """A release that was rolled back ends so itself, and its rollback beside it: only that one left anything."""
        is_by_hand = row.outcome == Outcome.ROLLED_BACK and row.release in self._by_hand
        if row.digest and (row.outcome == Outcome.RELEASED or is_by_hand):
            self.version, self.digest, self.at = row.version, row.digest, row.at
            self._records = recorded
        elif row.outcome == Outcome.ROLLED_BACK and row.workflow == names.rollback_lane(row.project):
            self._records |= recorded

    def _tell(self, row: Row) -> None:
        key = row.evidence[0] if row.evidence else ""
        if row.outcome == FOUND:
            self._standing[key] = StandingDrift(key=key, host=row.place, what=row.detail, since=row.at)
        elif row.outcome == GONE:
            self._standing.pop(key, None)
        self.told += row.outcome in {FOUND, GONE}
