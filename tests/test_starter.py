"""The starter as a process: its words, its exit status, its manners at a terminal."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Self

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from console.exit_status import ExitStatus
from deploy.ports import free_port
from runbook import names
from runbook.status import Outcome
from tests.operators import Operator, new_operator
from tests.programs import ENDINGS, Left, ended, start_starter, starter_process
from tests.projects import DIGEST
from tests.servers import TemporalServer

AT_ONCE = 4
QUEUE = "starter-endings"


@workflow.defn(name=names.RELEASE_WORKFLOW)
class Brief:
    """A release that ends as it is told."""

    @workflow.run
    async def run(self, outcome: str) -> dict[str, Any]:
        return {"outcome": outcome, "project": "shop", "version": "1.4.0", "summary": "as told"}


@pytest.fixture
async def endings(temporal: TemporalServer) -> AsyncGenerator[Client]:
    client = await temporal.connect()
    async with Worker(client, task_queue=QUEUE, workflows=[Brief], workflow_runner=UnsandboxedWorkflowRunner()):
        yield client


@pytest.fixture
async def operator(temporal: TemporalServer) -> AsyncGenerator[Operator]:
    operator = await new_operator(temporal)
    async with operator.working():
        yield operator


@pytest.mark.timeout(900)  # on a machine that is busy with other work
async def test_every_ending_has_the_status_of_its_outcome(temporal: TemporalServer, endings: Client) -> None:
    """A process that used Temporal's client may abort at exit: see process/ending.py."""
    expected = {"released": 0, "rejected": 3, "expired": 4, "aborted": 5, "rolled_back": 6}
    assert set(expected) == set(Outcome)
    for outcome in expected:
        lane = names.lane(f"ends-{outcome.replace('_', '-')}")
        await endings.execute_workflow(names.RELEASE_WORKFLOW, outcome, id=lane, task_queue=QUEUE)
    seen: Counter[tuple[str, int]] = Counter()
    batch = asyncio.Semaphore(AT_ONCE)

    async def watch_one(outcome: str) -> None:
        async with batch:
            left = await starter_process("watch", f"ends-{outcome.replace('_', '-')}", **temporal.environment)
        seen[outcome, left.status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(ENDINGS // len(expected)):
            for outcome in expected:
                group.create_task(watch_one(outcome))
    assert seen == {(outcome, status): ENDINGS // len(expected) for outcome, status in expected.items()}


async def test_help_says_what_every_exit_status_means() -> None:
    left = await starter_process("--help", COLUMNS="200")
    assert left.status == 0
    for status in ExitStatus:
        assert f"{status.value}: {status.meaning}" in left.out


async def test_wrong_words_are_refused_without_looking_for_temporal() -> None:
    began = time.monotonic()
    for words in (["start", "Shop", "1.4.0"], ["start", "shop", "1.4"], ["approve", "shop", "--digest", "latest"]):
        left = await starter_process(*words, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
        assert (left.status, left.out, len(left.err.splitlines())) == (2, "", 1), left.err
    assert time.monotonic() - began < 30


async def test_an_unreachable_temporal_is_one_line_and_status_2() -> None:
    address = f"127.0.0.1:{free_port()}"
    left = await starter_process("start", "shop", "1.4.0", "--as", "alice", TEMPORAL_ADDRESS=address)
    assert left.status == 2
    assert left.err.splitlines()[-1].startswith(f"Temporal does not answer at {address}")
    assert "Traceback" not in left.err


async def test_debug_shows_the_traceback_and_json_the_error() -> None:
    address = f"127.0.0.1:{free_port()}"
    left = await starter_process("--debug", "status", "shop", "--json", TEMPORAL_ADDRESS=address)
    assert "Traceback" in left.err
    assert json.loads(left.out)["exit_status"] == left.status == 2


async def test_a_namespace_that_is_not_there_is_one_line(temporal: TemporalServer) -> None:
    variables = {**temporal.environment, "TEMPORAL_NAMESPACE": "nowhere"}
    left = await starter_process("status", "shop", **variables)
    assert left.status == 2
    assert "nowhere" in left.err.splitlines()[-1]


async def test_a_wrong_setting_is_named(temporal: TemporalServer) -> None:
    left = await starter_process("list", RUNBOOK_TASKQUEUE="mine", **temporal.environment)
    assert left.status == 2
    assert "did you mean RUNBOOK_TASK_QUEUE?" in left.err


async def test_a_reader_that_goes_away_ends_it_quietly(temporal: TemporalServer, operator: Operator) -> None:
    await release(operator, temporal)
    reading, writing = os.pipe()
    process = await start_starter(["watch", operator.project], temporal.environment, stdout=writing)
    os.close(writing)
    os.close(reading)
    left = await ended(process)
    assert left.status == ExitStatus.INTERRUPTED
    assert "Traceback" not in left.err


@pytest.mark.parametrize("words", [["status", "nowhere-1", "--json"], ["list", "--json"], ["list"], ["--help"]])
async def test_an_output_that_takes_nothing_is_one_line_and_a_status_of_its_own(
    temporal: TemporalServer, words: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        left = await ended(await start_starter(words, temporal.environment, stdout=full))
    assert left.status == ExitStatus.UNWRITTEN
    assert left.err.splitlines()[-1].startswith("the output can't be written: No space left on device")
    assert "Traceback" not in left.err
    assert "bug" not in left.err


async def test_a_reader_of_json_that_goes_away_ends_it_quietly(temporal: TemporalServer) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await start_starter(["list", "--json"], temporal.environment, stdout=writing)
    os.close(writing)
    assert (await ended(process)) == Left(ExitStatus.INTERRUPTED, "", "")


async def test_a_terminal_without_our_signs_gets_others_and_json_loses_nothing(
    temporal: TemporalServer, operator: Operator
) -> None:
    await release(operator, temporal, reason="für alle")
    ascii_only = {**temporal.environment, "PYTHONIOENCODING": "ascii"}
    left = await starter_process("status", operator.project, **ascii_only)
    assert (left.status, left.err) == (ExitStatus.GOING_ON, "")
    assert "because: f?r alle" in left.out
    left = await starter_process("status", operator.project, "--json", **ascii_only)
    assert json.loads(left.out)["reason"] == "für alle"


@pytest.mark.parametrize("imported", ["typer.models", "temporalio.client"])
async def test_an_interrupt_while_it_still_imports_is_a_line_and_no_traceback(imported: str) -> None:
    process = await start_starter(["list"], {"PYTHONPROFILEIMPORTTIME": "1"})
    assert process.stderr is not None
    await asyncio.wait_for(process.stderr.readuntil(f" {imported}\n".encode()), 60)
    process.send_signal(signal.SIGINT)
    left = await ended(process)
    assert left.status == ExitStatus.INTERRUPTED
    assert left.err.splitlines()[-1] == "interrupted: nothing was asked for yet"
    assert "Traceback" not in left.err


async def test_an_empty_comment_is_no_comment() -> None:
    left = await starter_process("reject", "shop", "--comment", " ", TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    assert (left.status, left.out) == (2, "")
    assert left.err == "--comment is empty: say why, in some words that are kept with the decision\n"


async def test_the_versions_of_a_project_that_nobody_knows_are_not_none(temporal: TemporalServer) -> None:
    left = await starter_process("rollback", "nope", "--list", **temporal.environment)
    assert (left.status, left.out) == (2, "")
    assert "Temporal knows no release or rollback of nope" in left.err


async def test_an_interrupted_watch_says_that_the_release_goes_on(temporal: TemporalServer, operator: Operator) -> None:
    await release(operator, temporal)
    process = await start_starter(["watch", operator.project], temporal.environment)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readuntil(b"waiting at the gate"), 60)
    process.send_signal(signal.SIGINT)
    left = await ended(process)
    assert left.status == ExitStatus.INTERRUPTED
    assert "goes on" in left.err
    assert (await operator.until_the_gate()).outcome is None


@pytest.mark.parametrize(("answer", "status", "told"), [("n", 2, "nothing was decided"), ("y", 0, "approve accepted")])
async def test_at_a_terminal_the_digest_is_shown_and_must_be_confirmed(
    temporal: TemporalServer, operator: Operator, answer: str, status: int, told: str
) -> None:
    await release(operator, temporal)
    terminal = await Terminal.running(["approve", operator.project, "--as", "alice"], temporal)
    await terminal.shows("exactly this?")
    assert DIGEST in terminal.screen
    terminal.type(answer)
    assert await terminal.left() == status
    assert told in terminal.screen


@pytest.mark.parametrize("interrupted", ["ctrl-c", "ctrl-d"])
async def test_an_interruption_at_the_question_decides_nothing_and_is_heard_at_once(
    temporal: TemporalServer, operator: Operator, interrupted: str
) -> None:
    await release(operator, temporal)
    terminal = await Terminal.running(["approve", operator.project, "--as", "alice"], temporal)
    await terminal.shows("exactly this? [y/N]:")
    if interrupted == "ctrl-c":
        terminal.interrupt()
    else:
        terminal.press("\x04")
    assert await terminal.left() == ExitStatus.INTERRUPTED
    assert terminal.screen.splitlines()[-1] == "interrupted: nothing was decided"
    assert "bug" not in terminal.screen
    status = await operator.until_the_gate()
    assert status.gate is not None
    assert not status.gate.approvals


async def test_at_a_terminal_the_board_is_live_and_stays(temporal: TemporalServer, operator: Operator) -> None:
    await release(operator, temporal)
    terminal = await Terminal.running(["watch", operator.project], temporal)
    await terminal.shows("the gate waits for people")
    await operator.approve()
    assert await terminal.left() == 0
    assert f"{operator.project} 1.4.0: released" in terminal.screen


async def release(operator: Operator, temporal: TemporalServer, reason: str = "weekly") -> None:
    """Start one from outside, and let it come to its gate."""
    variables = {**temporal.environment, "RUNBOOK_TASK_QUEUE": operator.queue, "RUNBOOK_USER": "carol"}
    left = await starter_process("start", operator.project, "1.4.0", "--reason", reason, **variables)
    assert left.status == 0, left.err
    await operator.until_the_gate()


class Terminal:
    """A terminal of its own for one command; `screen` is all that was on it."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.screen = ""
        self._process = process
        self._descriptor = descriptor
        self._reading = asyncio.create_task(asyncio.to_thread(self._read))

    @classmethod
    async def running(cls, words: list[str], temporal: TemporalServer) -> Self:
        ours, theirs = pty.openpty()
        variables = {**temporal.environment, "TERM": "xterm", "COLUMNS": "180", "LINES": "60"}
        process = await start_starter(words, variables, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        return cls(process, ours)

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(60):
            while text not in self.screen:
                assert not self._reading.done(), self.screen
                await asyncio.sleep(0.05)

    def type(self, line: str) -> None:
        self.press(f"{line}\n")

    def press(self, key: str) -> None:
        os.write(self._descriptor, key.encode())

    def interrupt(self) -> None:
        """What Ctrl-C sends; once."""
        self._process.send_signal(signal.SIGINT)

    async def left(self) -> int:
        status = (await ended(self._process)).status
        await self._reading
        os.close(self._descriptor)
        return status

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while more := os.read(self._descriptor, 65536):
                self.screen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", more.decode(errors="replace"))
