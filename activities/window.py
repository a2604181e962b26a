"""Release windows and freezes on the worker's own knowledge of time zones, right through changes of the clocks."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from activities.binding import performs
from activities.errors import Refused
from activities.heartbeat import in_thread
from runbook import steps
from runbook.gate_table import GateTable
from runbook.window import ReleaseWindow, WindowToCheck

_DAY = timedelta(days=1)
# Windows repeat by the week: from any moment without a freeze on, the next opening is within these days.
_AHEAD = 9
# All clocks change at a multiple of this, in UTC.
_QUARTER = timedelta(minutes=15)


class WindowActivities:
    @performs(steps.WINDOW)
    async def check(self, order: WindowToCheck) -> ReleaseWindow:
        """Raises Refused when the worker knows no such time zone."""
        return await in_thread(release_window, order.policy, order.at)


def zone_of(name: str) -> ZoneInfo:
    """Raises Refused."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            f"gate.zone: this worker knows no time zone {name!r}: write it like Europe/Berlin, or install tzdata"
        ) from None


def release_window(policy: GateTable, at: datetime) -> ReleaseWindow:
    """Whether production may be changed at that moment, and when that changes next."""
    hours = _Hours(policy, zone_of(policy.zone))
    is_open = hours.is_open(at)
    changes = hours.next_change(at)
    opens = None if is_open else changes
    closes = changes if is_open else opens and hours.next_change(opens)
    why = hours.why(at, opens, closes)
    return ReleaseWindow(is_open=is_open, opens=opens, closes=closes, why=why, summary=why[:149])


class _Hours:
    """The policy by the clocks of its zone: open is when they show a time inside a window and outside every freeze."""

    def __init__(self, policy: GateTable, zone: ZoneInfo) -> None:
        self._policy = policy
        self._zone = zone

    def is_open(self, at: datetime) -> bool:
        shown = self._shown(at)
        windows, freezes = self._policy.windows, self._policy.freezes
        inside = not windows or any(window.covers(shown) for window in windows)
        return inside and not any(freeze.covers(shown) for freeze in freezes)

    def next_change(self, at: datetime) -> datetime | None:
        """The first moment after this one at which open becomes closed or closed open; None without end."""
        now = self.is_open(at)
        return next((moment for moment in sorted(set(self._moments(at))) if self.is_open(moment) is not now), None)

    def why(self, at: datetime, opens: datetime | None, closes: datetime | None) -> str:
        frozen = [freeze for freeze in self._policy.freezes if freeze.covers(self._shown(at))]
        until = f" until {self._told(closes)}" if closes else ""
        if self.is_open(at):
            return f"open{until}"
        reason = f"frozen: {frozen[0].reason or 'a freeze is in force'}" if frozen else "outside the release windows"
        return f"{reason}; opens {self._told(opens)}{until}" if opens else f"{reason}; no opening is to come"

    def _moments(self, after: datetime) -> Iterator[datetime]:
        """Whenever something may change: a week of windows after now and after each end of a freeze, and its edges."""
        edges = [moment for freeze in self._policy.freezes for moment in self._in_utc((freeze.from_, freeze.to))]
        for start in (after, *edges):
            found = (start, *self._week(start))
            yield from (moment for moment in found if moment > after)

    def _week(self, start: datetime) -> Iterator[datetime]:
        first = start.replace(minute=0, second=0, microsecond=0)
        yield from (first + _QUARTER * number for number in range(_AHEAD * 96))
        day = self._shown(start).date() - _DAY
        for number in range(_AHEAD + 1):
            for window in self._policy.windows:
                yield from self._in_utc(window.on(day + _DAY * number))

    def _in_utc(self, shown: Iterable[datetime]) -> Iterator[datetime]:
        """The moments at which clocks show these: two where the hour comes twice."""
        for each in shown:
            for fold in (0, 1):
                yield each.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)

    def _shown(self, at: datetime) -> datetime:
        return at.astimezone(self._zone).replace(tzinfo=None)

    def _told(self, at: datetime | None) -> str:
        return f"{at.astimezone(self._zone):%a %Y-%m-%d %H:%M} {self._policy.zone}" if at else ""
