"""A process that performs a swap or a putting back, stops itself before one of its engine calls, and goes on much later."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from datetime import timedelta
from typing import Any

from activities.clients.hosts import Hosts
from activities.errors import StepError
from activities.hosts import HostActivities
from runbook.message import Order
from runbook.service import SwapToMake
from tests.activities.performing import perform
from tests.hosts.processes import state_of
from tests.hosts.shop import Content
from tests.hosts.stages import StagedHosts

# Forked from a server that has everything imported, for there is one for every call of a swap.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class Late:
    """The process; `before` is the number of the call that it stops before, from 1."""

    def __init__(self, order: Order, before: int, settle: timedelta) -> None:
        self.before = before
        self._told, ours = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_perform, args=(order, before, settle, ours), daemon=True)
        self._process.start()
        ours.close()

    async def stopped(self, within: float = 30) -> bool:
        """Wait until it has stopped; False when it ended instead, because it needed fewer calls."""
        async with asyncio.timeout(within):
            while self._process.is_alive():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends between the two looks at it
                    if state_of(self._pid) == "T":
                        return True
                await asyncio.sleep(0.02)
        return False

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    async def ended(self, within: float = 60) -> str:
        """What became of it, in one line."""
        said: str = await asyncio.wait_for(asyncio.to_thread(self._told.recv), within)
        await asyncio.to_thread(self._process.join, within)
        return said

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._told.close()

    @property
    def _pid(self) -> int:
        assert self._process.pid
        return self._process.pid


def _perform(order: Order, before: int, settle: timedelta, told: Any) -> None:
    try:
        told.send(asyncio.run(_performed(order, before, settle)))
    except BaseException as error:
        told.send(f"broken: {error!r}")
        raise


async def _performed(order: Order, before: int, settle: timedelta) -> str:
    async def stop(number: int, name: str) -> None:
        if number == before:
            os.kill(os.getpid(), signal.SIGSTOP)

    hosts = Hosts()
    activities = HostActivities(StagedHosts(hosts, stop), Content(), settle)
    method = activities.swap if isinstance(order, SwapToMake) else activities.put_back
    try:
        return f"done: {(await perform(method, order)).summary}"
    except StepError as error:
        return f"{error.cause}: {error}"
    finally:
        await hosts.close()
