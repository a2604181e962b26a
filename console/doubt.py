"""What was sent and lost its answer may have been done: that is said, and is never the status of `nothing was changed`."""

from collections.abc import Generator
from contextlib import contextmanager

from temporalio.service import RPCError, RPCStatusCode

from console.exit_status import ExitStatus
from console.refusal import Refusal
from console.session import is_passing

# How a connection that broke off after the request is reported, beside what is worth asking again.
_BROKEN_OFF = {RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL, RPCStatusCode.ABORTED, RPCStatusCode.DATA_LOSS}


def leaves_open(error: RPCError) -> bool:
    """Whether what was asked may have been done all the same."""
    return is_passing(error) or error.status in _BROKEN_OFF


def told_by(project: str) -> str:
    """Where to look."""
    return f"`python starter.py status {project}` tells"


def unknown(what: str, error: RPCError | None = None) -> Refusal:
    """`what` may have been done, and where to look."""
    return Refusal(f"{_why(error)}; {what}" if error else what, ExitStatus.GOING_ON)


@contextmanager
def in_doubt(what: str) -> Generator[None]:
    """Around a request that is sent once: where its answer is lost, `what` may have been done. Raises Refusal."""
    try:
        yield
    except RPCError as error:
        if not leaves_open(error):
            raise
        raise unknown(what, error) from error


@contextmanager
def done(what: str) -> Generator[None]:
    """Around everything after an answer: whatever Temporal says then, `what` was done. Raises Refusal."""
    try:
        yield
    except RPCError as error:
        raise unknown(what, error) from error


def _why(error: RPCError) -> str:
    return f"no answer from Temporal ({error.status.name.replace('_', ' ').lower()}: {error.message})"
