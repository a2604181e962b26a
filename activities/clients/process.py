"""Runs a command of the project: a list of words without a shell, in a folder, for so long and no longer."""

import asyncio
import contextlib
import os
import re
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from activities.clients import leash
from activities.errors import Refused
from activities.heartbeat import ended
from runbook.trouble import Cause

KEPT_LINES = 40
LONGEST_LINE = 300

_CHUNK = 64 * 1024
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True)
class Ended:
    """How a command ended: `code` None when its time was over; `tail` is the end of what it wrote to either stream."""

    code: int | None
    seconds: float
    tail: list[str]


class Processes:
    """Gives a command PATH, HOME and LANG of the worker and what the project's file adds: none of its secrets.

    When the time is over, the activity is cancelled or the worker dies, the command and all it started are ended
    (SIGTERM, 5 s later SIGKILL): see `leash`.
    """

    async def run(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        within: timedelta,
        environment: Mapping[str, str],
        line: Callable[[str], None] = lambda _: None,
    ) -> Ended:
        """Run the words to their end; `line` is given the newest line of output, some times a second at most.

        Raises:
            Refused: there is no such program.
        """
        variables = _variables(environment)
        _found(words[0], folder, variables["PATH"])
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", leash.__file__, *words),
            cwd=folder,
            env=variables,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        tail = Tail()
        reading = asyncio.create_task(_read(process, tail, line))
        try:
            async with asyncio.timeout(within.total_seconds()):
                code: int | None = await process.wait()
        except TimeoutError:
            code = None
        finally:
            await ended(_stop(process, reading))
        return Ended(code, time.monotonic() - started, tail.lines())


class Tail:
    """The last lines of an output of any length and encoding, in bounded memory."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._open = b""

    def add(self, chunk: bytes) -> None:
        """A carriage return ends a line too: progress bars write many."""
        *whole, self._open = (self._open + chunk.replace(b"\r", b"\n")).split(b"\n")
        self._open = self._open[: 4 * LONGEST_LINE]
        for raw in whole[-4 * KEPT_LINES :]:
            self._keep(raw)

    def lines(self) -> list[str]:
        self._keep(self._open)
        self._open = b""
        return list(self._lines)

    @property
    def newest(self) -> str:
        return self._lines[-1] if self._lines else ""

    def _keep(self, raw: bytes) -> None:
        text = _ESCAPES.sub("", raw[: 8 * LONGEST_LINE].decode(errors="replace")).expandtabs(4).rstrip()
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        if shown:
            self._lines.append(shown[:LONGEST_LINE])


async def _read(process: asyncio.subprocess.Process, tail: Tail, line: Callable[[str], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    while chunk := await process.stdout.read(_CHUNK):
        tail.add(chunk)
        line(tail.newest)


async def _stop(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    """Let the leash go, wait until it has ended the command, and read what is left."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(leash.GRACE + 5):
            await process.wait()
            await asyncio.shield(reading)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading


def _variables(added: Mapping[str, str]) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8"} | own | dict(added)


def _found(program: str, folder: Path, path: str) -> None:
    """Refuse a program that is not there; one with a slash is looked for in the folder, as the system will."""
    found = shutil.which(str(folder / program)) if "/" in program else shutil.which(program, path=path)
    if found is None:
        where = "in the checkout" if "/" in program else "on the worker's PATH"
        raise Refused(
            f"program {program!r} is not {where} or can't be executed: install it or correct the project's file",
            cause=Cause.COMMAND_FAILED,
        )
