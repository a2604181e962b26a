"""Ctrl-C while a program still imports what it is made of, when nothing could answer it but a traceback."""

import os
import signal
from types import FrameType

_INTERRUPTED = 130


def leave_quietly() -> None:
    """From now on an interrupt ends the process with a line; not where the shell has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def interrupt() -> None:
    """From now on it interrupts again, as usual: somebody is there to hear it."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_: int, __: FrameType | None) -> None:
    os.write(2, b"interrupted: nothing was asked for yet\n")
    os._exit(_INTERRUPTED)
