"""How long a host's service was away during a change: asked all the time, as its users would."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from activities.answers import Probe
from activities.errors import StepError
from activities.heartbeat import hand_on

# 66 looks a second, so that a busy worker still makes 50.
_EVERY = 0.015
# A host that swallows connections keeps each look waiting: no more than these at once.
_AT_ONCE = 150
_ANSWERS_WITHIN = 2.0


@dataclass(frozen=True)
class Measured:
    """What the prober saw. `longest_gap`: seconds from the last good look before a failed one to the next good one."""

    requests: int = 0
    failures: int = 0
    longest_gap: float = 0.0
    was_up: bool = True
    """Whether the service answered well at all: what never did was not made worse by the change."""

    def __str__(self) -> str:
        if not self.was_up:
            return f"no good answer in {self.requests} requests"
        if not self.failures:
            return f"none of {self.requests} requests failed"
        if not self.longest_gap:
            return f"nothing answered before the change, {self.requests} requests"
        return f"down for {self.longest_gap:.2f} s, {self.failures} of {self.requests} requests failed"


@dataclass
class Looks:
    """Every look by when it was begun; `handed` is what the attempt before had measured."""

    handed: dict[str, Any] = field(default_factory=dict[str, Any])
    _looks: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])

    def note(self, began: float, *, good: bool) -> None:
        self._looks.append((began, good))

    def answered_since(self, moment: float) -> bool:
        return any(good and began >= moment for began, good in reversed(self._looks))

    def measured(self, now: float) -> Measured:
        """A gap that is not over yet counts until now."""
        last_good = self.handed.get("last_good")
        gap, broken = float(self.handed.get("gap", 0)), False
        for began, good in [*sorted(self._looks), (now, True)]:
            if good and broken and last_good is not None:
                gap = max(gap, began - last_good)
            if good:
                last_good, broken = began, False
            broken = broken or not good
        return Measured(
            requests=int(self.handed.get("requests", 0)) + len(self._looks),
            failures=int(self.handed.get("failures", 0)) + sum(not good for _, good in self._looks),
            longest_gap=round(gap, 3),
            was_up="last_good" in self.handed or any(good for _, good in self._looks),
        )

    def to_hand_on(self) -> dict[str, Any]:
        """For the next attempt, should this one's worker die: JSON-able and small."""
        good = [began for began, good in self._looks if good]
        last = max(good) if good else self.handed.get("last_good")
        seen = self.measured(last or time.time())
        found = {"requests": seen.requests, "failures": seen.failures, "gap": seen.longest_gap}
        return found if last is None else {**found, "last_good": last}


class Downtime:
    """Asks `url` for as long as the block runs, at least 50 times a second, whether or not earlier looks have ended."""

    def __init__(self, probe: Probe, url: str, handed: dict[str, Any]) -> None:
        self._probe = probe
        self._url = url
        self._looks = Looks(handed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*([self._asking] if self._asking else []), *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def measured(self) -> Measured:
        return self._looks.measured(time.time())

    async def answers(self, within: float) -> bool:
        """Whether a look begun from now on is answered well in so many seconds; back as soon as one is."""
        began, deadline = time.time(), time.monotonic() + within
        while not self._looks.answered_since(began):
            self._news.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
        return True

    async def _ask(self) -> None:
        following, told = time.monotonic(), 0.0
        while True:
            if len(self._under_way) < _AT_ONCE:
                look = asyncio.create_task(self._look(time.time()))
                self._under_way.add(look)
                look.add_done_callback(self._under_way.discard)
            if time.monotonic() - told > 0.5:
                told = time.monotonic()
                hand_on(self._looks.to_hand_on())
            # Behind after a stall of the worker: what was missed is not made up for.
            following = max(following + _EVERY, time.monotonic() - _EVERY)
            await asyncio.sleep(max(0.0, following - time.monotonic()))

    async def _look(self, began: float) -> None:
        good = False
        with contextlib.suppress(StepError, TimeoutError):
            async with asyncio.timeout(_ANSWERS_WITHIN):
                good = (await self._probe.look(self._url)).healthy
        self._looks.note(began, good=good)
        self._news.set()
