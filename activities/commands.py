"""Runs the project's own commands: acceptance tests, image scan and smoke test."""

import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from activities.answers import Probe, ask
from activities.binding import performs
from activities.clients.process import Ended
from activities.errors import Unreachable
from activities.heartbeat import tell
from runbook import steps
from runbook.artifact import ImageToScan
from runbook.command import CommandToRun, FinishedCommand, SmokeTest
from runbook.project import ForgeTable, ProjectTable
from runbook.span import spoken
from runbook.trouble import Cause

_KEPT = 20
_IMAGE = "{image}"


class Checkouts(Protocol):
    def of(self, project: ProjectTable, forge: ForgeTable, commit: str) -> AbstractAsyncContextManager[Path]: ...


class Processes(Protocol):
    async def run(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        within: timedelta,
        environment: Mapping[str, str],
        line: Callable[[str], None],
    ) -> Ended: ...


class CommandActivities:
    def __init__(self, checkouts: Checkouts, processes: Processes, probe: Probe) -> None:
        self._checkouts = checkouts
        self._processes = processes
        self._probe = probe

    @performs(steps.UAT)
    async def uat(self, order: CommandToRun) -> FinishedCommand:
        ended = await self._run(order, order.words, order.within, order.environment, Cause.COMMAND_FAILED)
        return _finished(order.words, ended, ended.tail)

    @performs(steps.SCAN)
    async def scan(self, order: ImageToScan) -> FinishedCommand:
        """`{image}` in the command stands for the image by version and digest; without it, that is the last word."""
        words = scan_words(order.artifact.scan, order.image.reference)
        ended = await self._run(order, words, order.artifact.scan_within, {}, Cause.COMMAND_FAILED)
        return _finished(order.artifact.scan, ended, [order.image.reference, *ended.tail[-_KEPT + 1 :]])

    @performs(steps.SMOKE_TEST)
    async def smoke_test(self, order: SmokeTest) -> FinishedCommand:
        """The command with `--target ADDRESS` exits 0, and then the service itself says health and version."""
        words = [*order.words, "--target", order.target]
        ended = await self._run(order, words, order.within, order.environment, Cause.SMOKE_FAILED)
        seen = await ask(self._probe, order.health_url, order.version_url, order.version)
        if seen.fault:
            raise _contradicted(order, seen.fault.what, ended)
        return _finished(order.words, ended, [*ended.tail[-_KEPT + len(seen.lines) :], *seen.lines])

    async def _run(
        self,
        order: CommandToRun | ImageToScan,
        words: Sequence[str],
        within: timedelta,
        environment: Mapping[str, str],
        cause: Cause,
    ) -> Ended:
        async with self._checkouts.of(order.project, order.forge, order.commit) as folder:
            ended = await self._processes.run(
                words,
                folder=folder,
                within=within,
                environment=environment,
                line=lambda newest: tell({"output": newest}),
            )
        if ended.code != 0:
            raise _failed(words, order.commit, within, ended, cause)
        return ended


def scan_words(command: Sequence[str], image: str) -> list[str]:
    if any(_IMAGE in word for word in command):
        return [word.replace(_IMAGE, image) for word in command]
    return [*command, image]


def _failed(words: Sequence[str], commit: str, within: timedelta, ended: Ended, cause: Cause) -> Unreachable:
    where = f"in a checkout of {commit[:12]}"
    last = f": {ended.tail[-1]}" if ended.tail else " without a word"
    if ended.code is None:
        message = f"{_shown(words)} was ended after its {spoken(within)} {where}; the last it said{last}"
        return Unreachable(message, cause=Cause.TIMED_OUT, evidence=ended.tail[-_KEPT:])
    message = f"{_shown(words)} {_exit(ended.code)} {where} after {ended.seconds:.1f} s{last}"
    return Unreachable(message, cause=cause, evidence=ended.tail[-_KEPT:])


def _contradicted(order: SmokeTest, what: str, ended: Ended) -> Unreachable:
    return Unreachable(
        f"the smoke test passed on {order.host}, but {what}: check that staging runs the candidate",
        cause=Cause.SMOKE_FAILED,
        evidence=[*ended.tail[-_KEPT + 1 :], what],
    )


def _finished(words: Sequence[str], ended: Ended, evidence: Sequence[str]) -> FinishedCommand:
    last = f": {ended.tail[-1]}" if ended.tail else ""
    summary = f"{_shown(words)} exited 0 in {ended.seconds:.1f} s{last}"
    return FinishedCommand(summary=summary[:149], evidence=list(evidence[-_KEPT:]), seconds=round(ended.seconds, 3))


def _exit(code: int) -> str:
    """128 and more is a signal, by the convention of shells, and less than 0 one that ended the leash itself."""
    number = -code if code < 0 else code - 128
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"exited with {code}"


def _shown(words: Sequence[str]) -> str:
    text = " ".join(shlex.join(words).split())
    return f"`{text if len(text) <= 60 else text[:59] + '…'}`"
