"""Local processes that stand for containers: started in a group of their own, ended whole, never left behind."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Self

from deploy.dying import dying_with_us
from deploy.sandbox.engine_command import MARK
from deploy.sandbox.engine_logs import STDERR, STDOUT, ContainerLog


class Process:
    """A running process group and the tasks that keep what it prints."""

    def __init__(self, process: asyncio.subprocess.Process, keepers: list[asyncio.Task[None]]) -> None:
        self._process = process
        self._keepers = keepers
        self._over = False
        self.pid = process.pid

    @classmethod
    async def spawn(cls, argv: list[str], cwd: Path, env: dict[str, str], log: ContainerLog) -> Self:
        process = await asyncio.create_subprocess_exec(
            *dying_with_us(argv),
            cwd=cwd,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        streams = ((STDOUT, process.stdout), (STDERR, process.stderr))
        keepers = [asyncio.create_task(log.keep(number, stream)) for number, stream in streams if stream]
        return cls(process, keepers)

    def signal(self, number: int) -> None:
        if not self._over:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def wait(self) -> int:
        """The exit code as Docker counts it (128 + signal), once nothing of the group is left."""
        code = await self._process.wait()
        self.signal(signal.SIGKILL)
        # From here on the number may be another process's.
        self._over = True
        await asyncio.gather(*self._keepers)
        return code if code >= 0 else 128 - code


def end_leftover(pid: int, container: str) -> None:
    """Ends the group of a process that an earlier sandbox left, if that pid still is that container's."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return
    if f"{MARK}={container}".encode() in environ.split(b"\0"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def signal_number(name: str | None, default: int = signal.SIGTERM) -> int:
    """`SIGTERM`, `TERM` or `15`; ValueError for what is no signal."""
    if not name:
        return default
    if name.isdigit():
        return int(name)
    try:
        return signal.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError:
        raise ValueError(f"Invalid signal: {name}") from None
