"""The points that a worker passes: each is written down, and where the plan has a fault for it, that happens once."""

import contextlib
import json
import os
import re
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.fault import AWAITED, DISK_FULL, KILL, STOP, Shot, read_shots

FOLDER = "CHAOS_FOLDER"
_HARNESS_ANSWERS_WITHIN = 60.0
_DISK_FULL_SECONDS = 4.0
_MASKS = (
    (re.compile(r"(?:sha256:|v(?=\d+\.\d+\.\d+))?[0-9a-f]{7,64}(?![\w-])"), "*"),
    (re.compile(r"v?\d+\.\d+\.\d+"), "*"),
    (re.compile(r"(?<=[/-])\d+(?=$|[/-])"), "*"),
)


@dataclass
class Where:
    """The attempt of a step that is under way, and how often it passed each of its points."""

    name: str
    attempt: int
    seen: Counter[str] = field(default_factory=Counter[str])


_where: ContextVar[Where | None] = ContextVar("where", default=None)


@contextlib.contextmanager
def within(name: str, attempt: int) -> Iterator[None]:
    token = _where.set(Where(name, attempt))
    try:
        yield
    finally:
        _where.reset(token)


def masked(text: str) -> str:
    """The same for every release: without ids, versions and numbers."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


class Points:
    """`folder` has the plan of the run that is on, `now`, and is where it is noted what was passed and what fired."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plan = folder / "now.json"
        self._read_at = -1
        self._run = folder
        self._shots: dict[str, Shot] = {}

    def passing(self, label: str, side: str = "", attributes: dict[str, str] | None = None) -> str | None:
        """Note the point and suffer its fault; gives a fault that only whoever passes can bring about.

        `label` with `side` ("before", "after") is counted within the attempt: the second call of its kind is another point.
        """
        where = _where.get()
        if where is None:
            return None
        where.seen[label + side] += 1
        number = where.seen[label + side]
        name = f"{where.name}/{label}" + (f"#{number}" if number > 1 else "") + (f":{side}" if side else "")
        run = self._refreshed()
        self._note(run, "passed", {"point": name, "attempt": where.attempt, **(attributes or {})})
        shot = self._shots.get(name)
        if shot is None or not self._first(run, shot):
            return None
        return self._suffer(run, shot)

    def set_off(self, host: str) -> None:
        """From now on, and for every worker, this host's clock is wrong until the run ends."""
        (self._refreshed() / f"clock-{host}").touch()

    def is_off(self, host: str) -> bool:
        return (self._refreshed() / f"clock-{host}").exists()

    def _suffer(self, run: Path, shot: Shot) -> str | None:
        if shot.fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if shot.fault == STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        if shot.fault == DISK_FULL:
            self._fill_disk()
        if shot.fault in AWAITED:
            self._await(run / f"{shot.number}.done")
        return shot.fault

    def _fill_disk(self) -> None:
        """Nothing that this process or a child writes to a file is kept; sockets and pipes go on."""
        before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
        timer = threading.Timer(_DISK_FULL_SECONDS, resource.setrlimit, (resource.RLIMIT_FSIZE, (before, most)))
        timer.daemon = True
        timer.start()

    def _await(self, done: Path) -> None:
        deadline = time.monotonic() + _HARNESS_ANSWERS_WITHIN
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _refreshed(self) -> Path:
        """The folder of the run that is on, its shots read anew when they have changed."""
        changed = self._plan.stat().st_mtime_ns
        if changed != self._read_at:
            run, shots = read_shots(self._plan)
            self._run, self._shots, self._read_at = run, {shot.point: shot for shot in shots}, changed
        return self._run

    def _first(self, run: Path, shot: Shot) -> bool:
        try:
            with (run / f"{shot.number}.fired").open("x") as file:
                file.write(json.dumps({"pid": os.getpid(), "at": time.time(), "number": shot.number}))
                return True
        except FileExistsError:
            return False

    def _note(self, run: Path, kind: str, what: dict[str, Any]) -> None:
        line = json.dumps({"kind": kind, "at": time.time(), "pid": os.getpid(), **what}) + "\n"
        # One write at the end of the file: lines of several workers never mix.
        with contextlib.suppress(OSError), (run / "passed.jsonl").open("ab", buffering=0) as file:
            file.write(line.encode())
