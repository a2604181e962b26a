"""Runs one command: settings, connection, and one line for whatever goes wrong."""

import asyncio
import getpass
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from console.exit_status import ExitStatus
from console.output import Output
from console.refusal import Refusal, checked
from process.connection import Target, Unconnected, connect
from process.settings import BadSettings, StarterSettings, together
from process.telemetry import silent_runtime
from runbook.identifier import Person

_CONNECT = timedelta(seconds=3)
show_tracebacks: ContextVar[bool] = ContextVar("show_tracebacks", default=False)


@dataclass(frozen=True)
class Patience:
    """How long to wait: for one answer of a run, for a start or a word to be taken, and for a started run's plan."""

    answer: timedelta = timedelta(seconds=5)
    taken: timedelta = timedelta(seconds=10)
    plan: timedelta = timedelta(seconds=30)


@dataclass(frozen=True)
class Session:
    """What a command has at hand."""

    client: Client
    target: Target
    task_queue: str
    output: Output
    patience: Patience = Patience()


Work = Callable[[Session], Awaitable[ExitStatus]]
Prepare = Callable[[], Work]


def perform(prepare: Prepare, output: Output) -> ExitStatus:
    """Check what was asked for, then connect and do it; every error becomes a line on standard error and a status."""
    try:
        return asyncio.run(_connected(prepare(), output))
    except (Refusal, BadSettings, Unconnected, RPCError) as error:
        status = error.status if isinstance(error, Refusal) else ExitStatus.REFUSED
        return _failed(output, _line(error), status)
    except SystemExit:  # rich's way to say that whoever read the output is gone
        return ExitStatus.INTERRUPTED
    except KeyboardInterrupt:
        return _failed(output, "interrupted: what was started goes on, see `status`", ExitStatus.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort of a command line; --debug shows the rest
        line = f"this is a bug in the starter: {type(error).__name__}: {error}; run it again with --debug"
        return _failed(output, line, ExitStatus.FAILED)


def person(given: str | None) -> str:
    """Who acts: as given, else RUNBOOK_USER, else the login's name. Raises Refusal."""
    if given is not None:
        return checked(Person, given)
    try:
        name = StarterSettings.read().user
    except BadSettings as bad:
        raise Refusal("; ".join(bad.faults)) from None
    if not (name or _login()):
        raise Refusal("this login has no name: say who you are with --as NAME or RUNBOOK_USER")
    return name or checked(Person, _login())


def _login() -> str:
    """The login's name, which Temporal's history shows beside whatever the person claims to be."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


async def _connected(work: Work, output: Output) -> ExitStatus:
    settings, target = together(StarterSettings.read, Target.read)
    if show_tracebacks.get():
        output.remark(f"Temporal at {target}")
    client = await connect(
        target, program=f"starter:{_login() or 'nobody'}", patience=_CONNECT, runtime=silent_runtime()
    )
    return await work(Session(client, target, settings.task_queue, output))


def _line(error: Exception) -> str:
    if isinstance(error, BadSettings):
        return "\n".join(error.faults)
    if isinstance(error, RPCError):
        return f"Temporal refused ({error.status.name.replace('_', ' ').lower()}): {error.message}"
    return str(error)


def _failed(output: Output, line: str, status: ExitStatus) -> ExitStatus:
    if show_tracebacks.get():
        output.remark(traceback.format_exc())
    output.remark(line)
    output.data({"error": line, "exit_status": int(status)})
    return status


def is_passing(error: RPCError) -> bool:
    """Whether it is worth asking again: the server is restarting, or nobody answered in time."""
    return error.status in {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
