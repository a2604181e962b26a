"""A program of the house: started in a session of its own, its output in a file, ended or killed by its pid."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from deploy.dying import dying_with_us

_TERM_WITHIN = 20.0
# What dies with us dies with the thread that started it: so one that stays starts them all.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starts programs")


class Process(Protocol):
    """As much of `subprocess.Popen` as is needed here."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Program:
    """`log` is added to by every start, so that a killed program's last words stay. It never outlives this process."""

    def __init__(self, name: str, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._words = list(words)
        self.environment = dict(environment)
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._process = self.begun()

    def begun(self) -> Process:
        """A new process of this program."""
        return _STARTER.submit(self._begun).result()

    def _begun(self) -> Process:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                dying_with_us(self._words),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """RuntimeError with the end of its log when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def kill(self) -> int | None:
        """SIGKILL, as a power cut does it; returns the pid it had."""
        return self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        return self._end(signal.SIGTERM)

    def wait_for(self, text: str, within: float = 30.0) -> None:
        """Until the log has this text."""
        deadline = time.monotonic() + within
        while text not in self.tail(200_000):
            self.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not say {text!r} within {within:g} s:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, size: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(_TERM_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return process.pid
