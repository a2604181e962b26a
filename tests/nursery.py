"""Programs without the second and a half that their imports take: forked from a process that has imported them.

A fork is a process of its own, with its own pid, session, environment and output; it runs the code that the program runs
and is killed, stopped and awaited like it. `python -m tests.nursery MODULE…` is the process that forks: it reads requests
from its standard input, a line of JSON each, and answers each with a line. When nobody is there to ask any more, it kills
what it has forked.
"""

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from deploy.demo.house import CHECKOUT
from deploy.demo.program import Program


@dataclass(frozen=True)
class Request:
    """`function` is a program's `MODULE:FUNCTION`, `words` its sys.argv; `out` and `err` are added to."""

    function: str
    words: Sequence[str]
    environment: Mapping[str, str]
    out: str
    err: str


class Nursery:
    """`with Nursery("worker", "starter") as nursery:` the code is that of `checkout`."""

    def __init__(self, *modules: str, checkout: Path = CHECKOUT) -> None:
        self._words = [sys.executable, "-P", "-m", "tests.nursery", *modules]
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

    def fork(self, request: Request) -> "Child":
        with self._asking:
            return Child(self, self._ask(asdict(request)))

    def status(self, pid: int) -> int:
        """How one that has ended did, as `subprocess` says it."""
        with self._asking:
            return self._ask({"ended": pid})

    async def run(self, function: str, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of one that is waited for."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            child = self.fork(Request(function, words, environment, str(out), str(err)))
            try:
                status = await asyncio.to_thread(child.wait)
            finally:
                child.kill()
            return status, out.read_text(), err.read_text()

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
        weakref.finalize(self, os.close, self._end)
        self._noting = threading.Lock()
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
            with self._noting:
                if self.returncode is None:
                    self.returncode = self._nursery.status(self.pid)
        return self.returncode


class Fork(Program):
    """A program that a nursery forks, whose whole environment is given; both of its outputs go to its log."""

    def __init__(self, nursery: Nursery, function: str, name: str, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, [name], log, environment)
        self._nursery, self._function = nursery, function

    def begun(self) -> Child:
        log = str(self.log)
        return self._nursery.fork(Request(self._function, [self.name], self.environment, log, log))


def _serve() -> None:
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
                _become(Request(**asked))
            living.add(answer)
        os.write(answers, f"{answer}\n".encode())
    for pid in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _become(asked: Request) -> NoReturn:
    """What a program is when it starts: its own session, words, environment and streams, nothing of the nursery's."""
    os.setsid()
    opened = functools.partial(os.open, flags=os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode=0o644)
    files = [os.open(os.devnull, os.O_RDONLY), opened(asked.out), opened(asked.err)]
    for stream, file in enumerate(files):
        os.dup2(file, stream)
    os.closerange(3, max(files) + 1)
    os.environ.clear()
    os.environ.update(asked.environment)
    sys.argv = list(asked.words)
    module, _, function = asked.function.partition(":")
    try:
        getattr(importlib.import_module(module), function)()
    finally:
        os._exit(1)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    # What every worker finds out as it starts, and always finds the same: of which build it is, and what apprise knows.
    importlib.import_module("temporalio.worker._worker").load_default_build_id()
    importlib.import_module("activities.clients.notifier").Notifier()
    _serve()
