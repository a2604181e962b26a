"""Asks a service all the time, from a process of its own, and tells for how long it did not answer."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

EVERY = 0.008
_WITHIN = 1.0
_PROCESSES = multiprocessing.get_context("forkserver")

Look = tuple[float, bool]


@dataclass
class Probed:
    """All looks, by when they began (seconds of the machine's monotonic clock); complete when the block has ended."""

    looks: list[Look] = field(default_factory=list[Look])

    def away(self, begun: float, ended: float) -> float:
        """Within this time: seconds from the last good look before a failed one to the next good one; the longest such."""
        longest, last_good, failed = 0.0, None, False
        for began, good in self.looks:
            if not begun <= began <= ended:
                continue
            if not good:
                failed = True
                continue
            if failed and last_good is not None:
                longest = max(longest, began - last_good)
            last_good, failed = began, False
        return longest

    @property
    def lost(self) -> int:
        """Looks that got no good answer."""
        return sum(not good for _, good in self.looks)

    @property
    def rate(self) -> float:
        """Looks in a second."""
        return (len(self.looks) - 1) / (self.looks[-1][0] - self.looks[0][0])


@contextlib.contextmanager
def probing(
    host: str, port: int, every: float = EVERY, within: float = _WITHIN, late: float = 0.0
) -> Generator[Probed]:
    """Every so many seconds another look at /health, whether or not the one before has its answer.

    What a busy machine kept from being asked is asked later, as far as it is not more than `late` seconds behind.
    """
    probed = Probed()
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_probe, args=(host, port, every, within, late, theirs), daemon=True)
    process.start()
    assert ours.recv() == "begun"
    try:
        yield probed
        ours.send("enough")
        probed.looks = sorted(ours.recv())
    finally:
        process.kill()
        process.join()
        ours.close()


def _probe(host: str, port: int, every: float, within: float, late: float, told: "Connection[Any, Any]") -> None:
    told.send(asyncio.run(_looks(host, port, every, within, late, told)))


async def _looks(
    host: str, port: int, every: float, within: float, late: float, told: "Connection[Any, Any]"
) -> Sequence[Look]:
    looks: list[Look] = []
    under_way: set[asyncio.Task[None]] = set()
    told.send("begun")
    following = time.monotonic()
    while not told.poll():
        task = asyncio.create_task(_look(host, port, within, looks))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        following = max(following + every, time.monotonic() - late)
        await asyncio.sleep(max(0.0, following - time.monotonic()))
    await asyncio.gather(*under_way)
    return looks


async def _look(host: str, port: int, within: float, looks: list[Look]) -> None:
    began, good = time.monotonic(), False
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /health HTTP/1.0\r\nHost: shop\r\n\r\n")
            good = b" 200 " in await reader.readline()
            writer.close()
    looks.append((began, good))
