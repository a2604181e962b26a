"""Programs without the second and a half that their imports take: forked, each, from a process that has imported them.

A fork is a process of its own, with its own pid, session, environment and log; it runs the code that the program runs, and
can be killed, stopped and awaited like it. `python -m tests.nursery MODULE:FUNCTION` is the process that forks: it reads
requests from its standard input, a line of JSON each, and answers each with a line. When nobody is there to ask any more,
it kills what it has forked.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from deploy.demo.program import Program


class Nursery:
    """`with Nursery("tests.chaos.worker:serve", checkout) as nursery:` the code is that of `checkout`."""

    def __init__(self, function: str, checkout: Path) -> None:
        self._words = [sys.executable, "-P", "-m", "tests.nursery", function]
        self._environment = {**os.environ, "PYTHONPATH": str(checkout)}
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for whoever asks: it ends what it began in its own order.
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def program(self, name: str, log: Path, environment: Mapping[str, str]) -> "Fork":
        return Fork(self, name, log, environment)

    def fork(self, log: Path, environment: Mapping[str, str]) -> "Child":
        with self._asking:
            pid = self._ask({"log": str(log), "environment": dict(environment)})
            return Child(self, pid)

    def status(self, pid: int) -> int:
        """How one that has ended did, as `subprocess` says it."""
        with self._asking:
            return self._ask({"ended": pid})

    def _ask(self, what: dict[str, Any]) -> int:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(what).encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._words} ended with {process.wait()}")
        return int(answer)


class Child:
    """One fork, with as much of `subprocess.Popen` as a `Program` needs."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self._end = os.pidfd_open(pid)
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def _ended(self, within: float | None) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], within)[0]:
            self.returncode = self._nursery.status(self.pid)
            os.close(self._end)
        return self.returncode


class Fork(Program):
    """A program that a nursery forks."""

    def __init__(self, nursery: Nursery, name: str, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, [name], log, environment)
        self._nursery = nursery

    def begun(self) -> Child:
        return self._nursery.fork(self.log, {**os.environ, **self.environment})


def _serve(main: Callable[[], NoReturn]) -> None:
    """Until nobody asks any more."""
    answers, living = os.dup(1), set[int]()
    # Nothing that a fork prints is an answer.
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "ended" in asked:
            living.discard(asked["ended"])
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["ended"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                os.close(answers)
                _become(main, asked["log"], asked["environment"])
            living.add(answer)
        os.write(answers, f"{answer}\n".encode())
    for pid in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _become(main: Callable[[], NoReturn], log: str, environment: Mapping[str, str]) -> NoReturn:
    """What a program is when it starts: its own session, environment and streams, nothing of the nursery's."""
    os.setsid()
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream, file in ((0, nothing), (1, output), (2, output)):
        os.dup2(file, stream)
    os.closerange(3, max(nothing, output) + 1)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    try:
        main()
    finally:
        os._exit(1)


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    _serve(getattr(importlib.import_module(module), function))
