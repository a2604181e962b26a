"""How the worker is stopped: asked once, it finishes what is under way; asked twice, it is gone; too slow, it is ended."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog

from process.ending import end

log = structlog.stdlib.get_logger()

T = TypeVar("T")

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
MARGIN: Final = timedelta(seconds=10)


class Stopping:
    """Await `asked`. `grace` is how long work may take to finish; `margin` later the process is ended with status 1."""

    def __init__(self, grace: timedelta, *, margin: timedelta = MARGIN) -> None:
        self.asked = asyncio.Event()
        self._grace = grace
        self._limit = grace + margin

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT ask; call it in the running loop."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._hear, number)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What this comes to; None, and its end, when somebody asked first."""
        doing, asked = asyncio.create_task(work), asyncio.create_task(self.asked.wait())
        await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if doing.done():
            return doing.result()
        doing.cancel()
        return None

    def _hear(self, number: signal.Signals) -> None:
        log.info("stopping, a second signal ends at once", signal=number.name, grace=self._grace.total_seconds())
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            # The default action needs no Python to run, so that even a stuck process hears the second signal.
            signal.signal(each, signal.SIG_DFL)
        watchdog = threading.Timer(self._limit.total_seconds(), _overdue)
        watchdog.daemon = True
        watchdog.start()
        self.asked.set()


def _overdue() -> None:
    log.error("work under way did not end in time, ending without it: Temporal gives it to another worker")
    end(1)
