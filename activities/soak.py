"""Watches production for a while after the release: a failure now and then is borne, a lasting one is not."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from activities.answers import Probe, Seen, ask
from activities.binding import performs
from activities.errors import Refused
from activities.heartbeat import rest, tell
from activities.progress import handed_on
from runbook import steps
from runbook.service import SoakToWatch, WatchedSoak
from runbook.soak_table import SoakTable
from runbook.span import spoken
from runbook.trouble import Cause

_KEPT = 20


class SoakActivities:
    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    @performs(steps.SOAK)
    async def soak(self, order: SoakToWatch) -> WatchedSoak:
        """Look at all hosts at once, every so often, until the time is over; an heir goes on where the dead one was."""
        watch, lasts, every = _Watch(order.soak, handed_on()), order.soak.lasts, order.soak.every
        while True:
            began = time.monotonic()
            seen = await asyncio.gather(*(self._look(order, host) for host in order.hosts))
            watch.note(dict(zip(order.hosts, seen, strict=True)))
            watch.judge()
            left = lasts.total_seconds() - watch.watched
            if left <= 0:
                watch.conclude()
                return _watched(order, watch)
            await rest(min(left, max(0.0, began + every.total_seconds() - time.monotonic())))
            watch.go_on(time.monotonic() - began)

    async def _look(self, order: SoakToWatch, host: str) -> Seen:
        environment = order.environment
        return await ask(self._probe, environment.health_url(host), environment.version_url(host), order.image.version)


class _Watch:
    """What was seen so far, in a form that a heartbeat carries: times are seconds since 1970.

    `watched` counts the seconds in which a worker was there: a gap between two workers was not watched by anybody.
    """

    def __init__(self, table: SoakTable, handed: dict[str, Any]) -> None:
        self._table = table
        self.watched = float(handed.get("watched", 0))
        self.looks = int(handed.get("looks", 0))
        self.failures = int(handed.get("failures", 0))
        self._recent: dict[str, list[tuple[float, str]]] = {
            host: [(float(at), str(what)) for at, what in failures]
            for host, failures in dict(handed.get("recent", {})).items()
        }
        self._failing = {host: int(looks) for host, looks in dict(handed.get("failing", {})).items()}

    def note(self, seen: dict[str, Seen]) -> None:
        now = time.time()
        self.looks += 1
        for host, look in seen.items():
            recent = self._recent.setdefault(host, [])
            self._failing[host] = self._failing.get(host, 0) + 1 if look.fault else 0
            if look.fault:
                self.failures += 1
                recent.append((now, look.fault.what[:200]))
            recent[:] = [failure for failure in recent if now - failure[0] <= self._table.within.total_seconds()]
            del recent[: -self._table.failures]
        self._tell()

    def go_on(self, seconds: float) -> None:
        self.watched += seconds
        self._tell()

    def _tell(self) -> None:
        recent = {host: failures for host, failures in self._recent.items() if failures}
        failing = {host: looks for host, looks in self._failing.items() if looks}
        seen = {"watched": self.watched, "looks": self.looks, "failures": self.failures}
        tell({**seen, "recent": recent, "failing": failing})

    def judge(self) -> None:
        """Refuse when one host failed too often in too short a time."""
        for host, recent in self._recent.items():
            if len(recent) >= self._table.failures:
                failed = f"{len(recent)} times within {spoken(self._table.within)}, {self.watched:.0f} s into the soak"
                raise _unhealthy(host, failed, recent)

    def conclude(self) -> None:
        """Refuse a host that still fails when the time is over, however far apart: figures can be such that it passes."""
        for host, looks in self._failing.items():
            if looks >= min(self._table.failures, self.looks):
                failed = f"the last {looks} looks of a soak of {spoken(self._table.lasts)}"
                raise _unhealthy(host, failed, self._recent[host])


def _unhealthy(host: str, failed: str, recent: list[tuple[float, str]]) -> Refused:
    return Refused(
        f"{host} failed {failed}; at last: {recent[-1][1]}",
        cause=Cause.UNHEALTHY,
        evidence=[f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} {what}" for at, what in recent][-_KEPT:],
    )


def _watched(order: SoakToWatch, watch: _Watch) -> WatchedSoak:
    hosts = f"{len(order.hosts)} host{'s' if len(order.hosts) > 1 else ''}"
    return WatchedSoak(
        summary=f"{hosts} watched for {spoken(order.soak.lasts)}: {watch.looks} looks, {watch.failures} failures",
        looks=watch.looks,
        failures=watch.failures,
    )
