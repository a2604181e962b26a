"""Waits until a host's service is healthy, in the right version and in a container that stays up."""

import asyncio
import math
import time
from collections import deque
from typing import Protocol

from activities.answers import Fault, Probe, ask
from activities.binding import performs
from activities.clients.engine_container import ContainerDetails
from activities.clients.engine_errors import Moved
from activities.errors import Refused, Unreachable
from activities.heartbeat import rest, tell
from activities.progress import handed_on, started_at
from activities.steadiness import SETTLED, Steadiness
from runbook import steps
from runbook.identifier import tag_of
from runbook.project import EnvironmentTable
from runbook.service import HealthToVerify, HealthyHost
from runbook.span import spoken
from runbook.trouble import Cause

FIRST_PAUSE, GROWTH = 0.1, 1.5
_KEPT = 12


class Inspecting(Protocol):
    async def inspect(self, container: str) -> ContainerDetails: ...


class Engines(Protocol):
    async def engine(self, environment: EnvironmentTable, host: str) -> Inspecting: ...


class HealthActivities:
    """`settled`: seconds that a container which has restarted must be up before it counts; `pause`: the longest between looks."""

    def __init__(self, probe: Probe, engines: Engines, *, settled: float = SETTLED, pause: float = 1.0) -> None:
        self._probe = probe
        self._engines = engines
        self._settled = settled
        self._pause = pause

    @performs(steps.HEALTH)
    async def health(self, order: HealthToVerify) -> HealthyHost:
        return await self._verified(order)

    @performs(steps.PUT_BACK_HEALTH)
    async def put_back_health(self, order: HealthToVerify) -> HealthyHost:
        return await self._verified(order)

    async def _verified(self, order: HealthToVerify) -> HealthyHost:
        """Look until enough good answers came in a row; a bad one after the deadline, whoever began, is the end.

        The deadline is the retry: what is unhealthy by then is Refused.
        """
        started = started_at(handed_on())
        steady = Steadiness(order.host, order.container_id or "", self._settled)
        story: deque[str] = deque(maxlen=_KEPT)
        good, pause = 0, FIRST_PAUSE
        while True:
            tell({"started": started, "good": good, "said": story[-1] if story else ""})
            fault, lines = await self._look(order, steady)
            passed = time.time() - started
            good = 0 if fault else good + 1
            _note(story, passed, fault, lines)
            if good >= order.environment.good_answers:
                return _healthy(order, good, passed, lines)
            if fault and (steady.over or passed >= order.environment.health_deadline.total_seconds()):
                raise _unhealthy(order, fault, passed, [*story], over=steady.over)
            await rest(pause)
            pause = min(pause * GROWTH, self._pause)

    async def _look(self, order: HealthToVerify, steady: Steadiness) -> tuple[Fault | None, list[str]]:
        environment, host = order.environment, order.host
        seen, unsteady = await asyncio.gather(
            ask(self._probe, environment.health_url(host), environment.version_url(host), order.version),
            self._unsteady(order, steady),
        )
        return unsteady or seen.fault, seen.lines

    async def _unsteady(self, order: HealthToVerify, steady: Steadiness) -> Fault | None:
        if order.container_id is None:
            return None
        try:
            engine = await self._engines.engine(order.environment, order.host)
            return steady.fault(await engine.inspect(order.container_id))
        except Moved:
            return steady.fault(None)
        except Unreachable as silent:
            return Fault(Cause.UNHEALTHY, f"container {order.container_id[:12]} can't be looked at: {silent}")


def _note(story: deque[str], passed: float, fault: Fault | None, lines: list[str]) -> None:
    """Keep what is new: a service that says one thing for minutes says it once."""
    for line in [fault.what, *lines] if fault else ["healthy", *lines]:
        if not any(known.endswith(f"s: {line[:280]}") for known in story):
            story.append(f"after {passed:.1f} s: {line[:280]}")


def _healthy(order: HealthToVerify, good: int, passed: float, lines: list[str]) -> HealthyHost:
    return HealthyHost(
        summary=f"healthy{_as(order)} after {passed:.1f} s, {good} good answers in a row",
        evidence=lines,
        host=order.host,
        answers=good,
        seconds=round(passed, 3),
    )


def _unhealthy(order: HealthToVerify, fault: Fault, passed: float, story: list[str], *, over: bool) -> Refused:
    if over:
        when = f"after {math.ceil(passed)} s, and nothing will start it again"
    else:
        when = f"within {spoken(order.environment.health_deadline)}"
    return Refused(
        f"{order.host} did not become healthy{_as(order)} {when}: {fault.what}",
        cause=fault.cause,
        evidence=story,
    )


def _as(order: HealthToVerify) -> str:
    return f" as {tag_of(order.version)}" if order.version else ""
