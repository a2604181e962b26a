"""What the harness does for the faults of a run: stopped workers wake, killed ones are replaced, Temporal comes back."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

from deploy.demo.outside import Outside
from tests.chaos.fault import KILL, LOCKED, STOP, TEMPORAL, TEMPORAL_20, Shot
from tests.chaos.house import ChaosHouse

_LOOK_EVERY = 0.02
_SUCCESSOR_WITHIN = 25.0
_LOCKED_SECONDS = 12.0
_AWAY = {TEMPORAL: 0.0, TEMPORAL_20: 20.0}
_ENDS = ("kept", "told-")


class Service:
    """`run` is the folder of the run that is on; `fired` says when each shot did."""

    def __init__(self, house: ChaosHouse, run: Path, shots: list[Shot]) -> None:
        self._house, self._run = house, run
        self._shots = {shot.number: shot for shot in shots}
        self.fired: dict[int, float] = {}
        self._temporal = asyncio.Lock()
        self._crew = asyncio.Lock()
        self._serving: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        """Until it is cancelled; raises what went wrong with any fault."""
        while True:
            for number, shot in self._shots.items():
                mark = self._run / f"{number}.fired"
                if number not in self.fired and mark.exists() and (told := mark.read_text()):
                    fired = json.loads(told)
                    self.fired[number] = fired["at"]
                    self._serving.append(asyncio.create_task(self._suffer(shot, fired["pid"])))
            for task in self._serving:
                if task.done():
                    task.result()
            await asyncio.sleep(_LOOK_EVERY)

    async def settle(self) -> None:
        """Until everything that a fault took away is back."""
        await asyncio.gather(*self._serving)

    async def _suffer(self, shot: Shot, pid: int) -> None:
        if shot.fault == KILL:
            # It notes that it dies before it does.
            while any(program.pid == pid and program.running() for program in self._house.crew):
                await asyncio.sleep(_LOOK_EVERY)
            await self.replace()
        elif shot.fault == STOP:
            await self._wake(shot, pid)
        elif shot.fault in _AWAY:
            await self.take_temporal(_AWAY[shot.fault], self._run / f"{shot.number}.done")
        elif shot.fault == LOCKED:
            await asyncio.to_thread(self._lock_ledger, self._run / f"{shot.number}.done")

    async def replace(self) -> None:
        async with self._crew:
            await self._house.fill_crew()

    async def stop_crew(self, seconds: float) -> None:
        """SIGSTOP to every worker, and SIGCONT after so long."""
        pids = [program.pid for program in self._house.crew if program.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    async def _wake(self, shot: Shot, pid: int) -> None:
        """When another worker has done the step, or nobody can because the stopped one holds a lock."""
        step = shot.point.split("/")[0] + "/" + shot.point.split("/")[1] if "/" in shot.point else shot.point
        deadline = time.monotonic() + _SUCCESSOR_WITHIN
        while time.monotonic() < deadline and not self._done_by_another(shot, step, pid):
            await asyncio.sleep(0.1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _done_by_another(self, shot: Shot, step: str, pid: int) -> bool:
        since = self.fired[shot.number]
        return any(
            line["at"] > since
            and line["pid"] != pid
            and line["point"].startswith(step)
            and line["point"].rpartition("/")[2].startswith(_ENDS)
            for line in passed(self._run)
        )

    async def take_temporal(self, seconds: float, done: Path | None = None) -> None:
        """SIGKILL, and another server on its database after so long."""
        async with self._temporal:
            self._house.kill_temporal()
            if done:
                done.touch()
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._house.start_temporal)

    def _lock_ledger(self, done: Path) -> None:
        connection = sqlite3.connect(Outside(self._house).ledger_file(), timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            done.touch()
            time.sleep(_LOCKED_SECONDS)
            connection.execute("ROLLBACK")
        finally:
            connection.close()


def passed(run: Path) -> list[dict[str, Any]]:
    """Every point that was passed in this run, oldest first."""
    log = run / "passed.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
