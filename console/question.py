"""Asks the person at the terminal, who may also say nothing: Ctrl-C and Ctrl-D are heard at once."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

import typer

from console.exit_status import ExitStatus
from console.refusal import Refusal


def confirmed(question: str) -> bool:
    """In the main thread, where the answer is waited for with everything else at rest. Raises Refusal."""
    try:
        with _interruptible():
            return typer.confirm(question)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(err=True)  # the question's line has no end yet
        raise Refusal("interrupted: nothing was decided", ExitStatus.INTERRUPTED) from None


@contextmanager
def _interruptible() -> Generator[None]:
    """Asyncio's own handler only cancels its task, which hears of it after the answer; this one breaks the question off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
