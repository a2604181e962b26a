"""The two programs as processes of their own, for tests that look from outside."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENDINGS = int(os.environ.get("PROGRAM_ENDINGS", "20"))
"""How often each program's end is looked at, a multiple of 5: a crash while exiting is rare."""
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("RUNBOOK_", "TEMPORAL_"))}


@dataclass(frozen=True)
class Left:
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str


class WorkerProcess:
    """`worker.py` with JSON logs; `lines` is its log so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        assert process.stderr is not None
        self._reading = asyncio.create_task(self._read(process.stderr))
        self._more = asyncio.Event()

    async def until(self, message: str, within: float = 100) -> dict[str, Any]:
        """The first log line with this message."""
        async with asyncio.timeout(within):
            while True:
                for line in self.lines:
                    if f'"message": "{message}' in line:
                        found: dict[str, Any] = json.loads(line)
                        return found
                if self._reading.done():
                    raise AssertionError(f"the worker ended without {message!r}: {self.lines}")
                self._more.clear()
                await self._more.wait()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self, within: float = 100) -> int:
        async with asyncio.timeout(within):
            await asyncio.shield(self._reading)
            return await self._process.wait()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.lines.append(line.decode())
            self._more.set()
        self._more.set()


@contextlib.asynccontextmanager
async def worker_process(
    folder: Path, program: Sequence[str] = (str(ROOT / "worker.py"),), **variables: str
) -> AsyncGenerator[WorkerProcess]:
    """A worker with its own folders below `folder`; it is killed at the end of the block if it still runs."""
    (folder / "projects").mkdir(exist_ok=True)
    folders = {"RUNBOOK_PROJECTS": str(folder / "projects"), "RUNBOOK_STATE": str(folder / "state")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        env={**_CLEAN, **folders, **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    worker = WorkerProcess(process)
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await worker.ended()


async def starter_process(*words: str, **variables: str) -> Left:
    """`starter.py` with these words, to its end."""
    return await ended(await start_starter(words, variables))


async def start_starter(
    words: Sequence[str], variables: Mapping[str, str], **options: Any
) -> asyncio.subprocess.Process:
    streams = {
        "stdin": asyncio.subprocess.DEVNULL,
        "stdout": asyncio.subprocess.PIPE,
        "stderr": asyncio.subprocess.PIPE,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "starter.py"), *words, env={**_CLEAN, **variables}, **{**streams, **options}
    )


async def ended(process: asyncio.subprocess.Process, within: float = 60) -> Left:
    async with asyncio.timeout(within):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Left(process.returncode, (out or b"").decode(), (err or b"").decode())
