"""Processes of a fleet: they end with the tests, even when those are killed."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}


def begin(words: Sequence[str], log: Path | None = None) -> "subprocess.Popen[bytes]":
    """Without a log its output is a pipe. Only of the main thread: its end is the process's end as well."""
    command = ["setpriv", "--pdeathsig", "KILL", *words]
    if log is None:
        return subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.PIPE)
    with log.open("ab") as output:
        return subprocess.Popen(command, env=_ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)


def end(process: "subprocess.Popen[bytes]", how: signal.Signals = signal.SIGKILL) -> None:
    process.send_signal(how)
    process.wait(20)
    if process.stdout:
        process.stdout.close()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def state_of(pid: int) -> str:
    """One letter, as of ps: T is stopped, Z is ended and not yet reaped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def sharing(first: int, namespace: str = "pid") -> list[int]:
    """All processes that share this one's namespace of that kind."""
    own = Path(f"/proc/{first}/ns/{namespace}").readlink()
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "ns" / namespace).readlink() == own:
                found.append(int(path.name))
        except OSError:  # ended meanwhile
            continue
    return found


def until(condition: Callable[[], bool], what: str, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within:g} s"
        time.sleep(0.01)
