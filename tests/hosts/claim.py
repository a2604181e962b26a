"""A number that one run holds: every name and address of its fleet follows from it, and what a dead run left is removed."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LOCKS = Path("/run/runbook-fleets")
_NUMBERS = range(1, 200)
_ENDS_WITHIN = 10


@dataclass(frozen=True)
class Claim:
    """Held as long as `lock` is open, that is at most as long as the process lives."""

    number: int
    lock: IO[bytes]

    @classmethod
    def take(cls) -> "Claim":
        """The first free number, clean; leftovers under all other free numbers are removed too."""
        _LOCKS.mkdir(exist_ok=True)
        taken: Claim | None = None
        for number in _NUMBERS:
            if taken and not (_LOCKS / str(number)).exists():
                continue
            claim = cls.of(number)
            if claim is None:
                continue
            claim.clean()
            if taken is None:
                taken = claim
            else:
                claim.release()
        assert taken, f"all {len(_NUMBERS)} fleets of this machine are in use: see {_LOCKS}"
        taken.folder.mkdir()
        return taken

    @classmethod
    def of(cls, number: int) -> "Claim | None":
        """This number as it is, or None when another run has it."""
        path = _LOCKS / str(number)
        lock = path.open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return cls(number, lock)

    @property
    def name(self) -> str:
        """At most 7 characters, for a network interface's has at most 15."""
        return f"fleet{self.number}"

    @property
    def folder(self) -> Path:
        return Path("/tmp") / f"runbook-{self.name}"

    def namespace(self, what: str) -> str:
        return f"{self.name}-{what}"

    def address(self, host: int) -> str:
        """In the range that is kept for benchmarks of networks, so nobody routes it."""
        return f"198.18.{self.number}.{host}"

    def clean(self) -> None:
        """End everything under this number, by process id and namespace, and remove its traces."""
        subprocess.run(["ip", "link", "delete", self.name], capture_output=True, check=False)
        for namespace in self._namespaces():
            _end_all_in(namespace)
            subprocess.run(["ip", "netns", "delete", namespace], check=True)
        for root in ("", "*/"):
            for group in Path("/sys/fs/cgroup").glob(f"{root}{self.name}"):
                _remove_group(group)
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        self.lock.close()

    def _namespaces(self) -> list[str]:
        return sorted(path.name for path in Path("/run/netns").glob(f"{self.name}-*"))


def _end_all_in(namespace: str) -> None:
    """A host's first process takes everything on it along, containers too; anything else ends by itself."""
    deadline = time.monotonic() + _ENDS_WITHIN
    while pids := _pids_in(namespace):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert time.monotonic() < deadline, f"processes {pids} of {namespace} do not end"
        time.sleep(0.01)


def _pids_in(namespace: str) -> list[int]:
    told = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True)
    return [int(pid) for pid in told.stdout.split()]


def _remove_group(group: Path) -> None:
    """A group is free a moment after its last process ended."""
    deadline = time.monotonic() + _ENDS_WITHIN
    for folder, _, _ in os.walk(group, topdown=False):
        while True:
            try:
                Path(folder).rmdir()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{folder} stays busy"
                time.sleep(0.01)
