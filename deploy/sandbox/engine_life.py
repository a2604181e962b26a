"""One container's life from start to end: its process, its ports, and the wish to end it."""

import asyncio
from collections.abc import Sequence
from signal import SIGKILL, SIGTERM

from deploy.sandbox.processes import Process
from deploy.sandbox.proxy import PublishedPort

FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER = 0.1, 60.0, 10.0


class Backoff:
    """Docker's pauses before restarts, in seconds: 0.1 doubling to a minute, anew after ten steady seconds."""

    def __init__(self) -> None:
        self._pause = 0.0

    def next(self, uptime: float) -> float:
        if uptime >= STEADY_AFTER:
            self._pause = 0.0
        self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
        return self._pause


class Life:
    """`task` watches the process and ends with the container."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.ports: Sequence[PublishedPort] = ()
        self.task: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def ending(self) -> bool:
        return self._end.is_set()

    def give_up(self) -> None:
        """Ends the pause before a restart, as killing or stopping a restarting container does."""
        self._end.set()

    def set_reachable(self, *, reachable: bool) -> None:
        for port in self.ports:
            port.set_reachable(reachable=reachable)

    def signal(self, number: int) -> None:
        if self.process:
            self.process.signal(number)

    async def end(self, seconds: float, number: int = SIGTERM) -> None:
        """Asks with `number`, insists with SIGKILL after `seconds`, returns when nothing is left."""
        self.give_up()
        self.signal(number)
        if self.task is None:
            return
        _, pending = await asyncio.wait({self.task}, timeout=seconds)
        if pending:
            self.signal(SIGKILL)
            await asyncio.wait({self.task})

    async def is_ended_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._end.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def close_ports(self) -> None:
        ports, self.ports = self.ports, ()
        for port in ports:
            await port.close()
