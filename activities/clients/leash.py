"""Runs one command and leaves nothing of it behind: run as a script, with the standard library alone.

Its standard input is the leash: when the worker closes it, or dies and so lets go of it, the command is told to end and,
after 5 s, made to. What the command started in the background ends with it, also what moved to a session of its own.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
NOT_STARTED = 127

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(words: list[str]) -> int:
    """Run the words in this folder and environment; the exit code is theirs, or 128 + the signal that ended them."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for sent in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sent, _noted)
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        command = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_leash)  # noqa: PLW1509 - no threads here
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{words[0]} could not be started: {error}", flush=True)  # noqa: T201 - its output is the command's
        return NOT_STARTED
    _until_over(command.pid, woken)
    _end(command.pid)
    code = command.wait()
    return code if code >= 0 else 128 - code


def _noted(number: int, frame: object) -> None:
    """A handler of our own, so that the signal is written to the pipe and not inherited as ignored by the command."""


def _until_over(leader: int, woken: int) -> None:
    """Wait for the command's end, the leash's, or a signal to stop."""
    while not _over(leader):
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready and set(os.read(woken, 512)) - {signal.SIGCHLD}:
            return
        if 0 in ready and not os.read(0, 512):
            return


def _end(leader: int) -> None:
    """End the command's group, and then every process that came back to us because its parent ended."""
    deadline = time.monotonic() + GRACE
    told: set[int] = set()
    while (others := _children() - {leader}) or not _over(leader):
        ending = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in ({leader} | others) - (told if ending is signal.SIGTERM else set()):
            told.add(pid)
            _send(ending, pid, group=pid == leader)
        for pid in others:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)


def _send(ending: signal.Signals, pid: int, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, ending)


def _over(leader: int) -> bool:
    """Whether the command has ended; it is not reaped yet, so that its number stays its own while its group is ended."""
    return os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _children() -> set[int]:
    """Our own children, by Linux; elsewhere none are known and only the command's group is ended."""
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except OSError:
        return set()


def _die_with_leash() -> None:
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
