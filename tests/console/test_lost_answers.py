"""What arrived and lost its answer: it is found again, or said to be unknown, and never `nothing was changed`."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from console import begin, decide, follow
from console.exit_status import ExitStatus
from console.session import Patience, Work
from runbook import names, steps
from runbook.status import Status
from runbook.trouble import Cause
from tests.operators import Operator, Said
from tests.projects import DIGEST
from tests.servers import TemporalServer
from tests.wire import Wire, wire
from tests.workflows.crew import failing

REASON = "as was agreed on Monday"
LOST = timedelta(seconds=1)


@pytest.fixture
async def line(temporal: TemporalServer) -> AsyncGenerator[Wire]:
    async with wire(temporal) as made:
        yield made


async def far(near: Operator, line: Wire, *, plan: float = 60) -> Operator:
    """The same operator at the other end of the wire; the worker is on this one."""
    patience = Patience(answer=timedelta(seconds=1), taken=LOST, plan=timedelta(seconds=plan))
    return dataclasses.replace(near, client=await line.connect(), patience=patience)


def release(project: str, version: str = "1.4.0", *, wait: bool = False) -> Callable[[], Work]:
    return lambda: begin.release(project, version, commit=None, reason=REASON, by="carol", wait=wait)


async def runs_of(operator: Operator) -> int:
    """By Temporal's own count of what it has of the lane."""
    query = f"WorkflowId = '{names.lane(operator.project)}'"
    async with asyncio.timeout(60):
        while not (found := (await operator.client.count_workflows(query)).count):
            await asyncio.sleep(0.1)
    return found


async def lost(line: Wire, working: "asyncio.Task[Said]", near: Operator, known: Callable[[Status], bool]) -> Said:
    """Held back until the run knows of it and somebody has doubted, then let go."""
    await near.until(known)
    await asyncio.sleep(2 * LOST.total_seconds())
    line.let_go()
    return await working


async def test_a_start_whose_answer_is_lost_is_known_again_as_ones_own(operator: Operator, line: Wire) -> None:
    away = await far(operator, line)
    line.hold(REASON.encode())
    said = await lost(
        line, asyncio.create_task(away.does(release(away.project))), operator, lambda status: bool(status.tag)
    )
    assert said.status == ExitStatus.GOOD, said.err
    assert said.err.splitlines() == ["no answer yet, asking what became of it"]
    assert f"started as release-{operator.project}" in said.out
    assert "admitted" in said.out
    assert await runs_of(operator) == 1


async def test_a_start_that_arrived_and_was_refused_meanwhile_is_not_sent_again(operator: Operator, line: Wire) -> None:
    operator.crew.at(steps.PLAN, failing(Cause.REFUSED, "gate: nobody may approve"))
    away = await far(operator, line)
    line.hold(REASON.encode())
    said = await lost(
        line,
        asyncio.create_task(away.does(release(away.project))),
        operator,
        lambda status: status.outcome is not None,
    )
    assert said.status == ExitStatus.REFUSED
    assert said.err.splitlines()[-1] == "gate: nobody may approve"
    assert await runs_of(operator) == 1


async def test_a_start_whose_answer_never_comes_may_have_been_started(idle: Operator, line: Wire) -> None:
    away = await far(idle, line, plan=1)
    line.hold(REASON.encode())
    said = await away.does(release(away.project), json=True)
    assert said.status == ExitStatus.GOING_ON
    told = f"release {idle.project} 1.4.0: it may have been started: `python starter.py status {idle.project}` tells"
    assert said.err.splitlines()[-1].endswith(told)
    described = await idle.client.get_workflow_handle(names.lane(idle.project)).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING


async def test_a_lane_that_another_holds_is_not_taken_for_ones_own(operator: Operator, line: Wire) -> None:
    await operator.does(release(operator.project))
    await operator.until_the_gate()
    away = await far(operator, line)
    line.hold(REASON.encode())
    working = asyncio.create_task(away.does(release(away.project, "1.5.0")))
    said = await lost(line, working, operator, lambda _: True)
    assert said.status == ExitStatus.REFUSED
    assert "is held since" in said.err.splitlines()[-1]
    assert "nothing was started" in said.err


def judged(operator: Operator) -> Callable[[], Work]:
    return lambda: decide.judge(operator.project, names.APPROVE, digest=DIGEST, comment=REASON, by="alice")


def told(operator: Operator, instruction: str) -> Callable[[], Work]:
    return lambda: decide.instruct(operator.project, instruction, reason=REASON, step=None, by="alice")


async def test_an_approval_whose_answer_is_lost_is_asked_about_until_it_is_known(
    operator: Operator, line: Wire
) -> None:
    await operator.does(release(operator.project))
    await operator.until_the_gate()
    away = await far(operator, line)
    line.hold(REASON.encode())
    said = await lost(
        line,
        asyncio.create_task(away.does(judged(away))),
        operator,
        lambda status: not (status.gate and status.gate.open),
    )
    assert said.status == ExitStatus.GOOD, said.err
    assert "approve accepted" in said.out
    status = await operator.until(lambda status: status.outcome is not None)
    assert sum("approve by alice" in message for message in status.messages) == 1


async def test_an_abort_that_ended_the_run_before_its_answer_came_was_heard(operator: Operator, line: Wire) -> None:
    await operator.does(release(operator.project))
    await operator.until_the_gate()
    away = await far(operator, line)
    line.hold(REASON.encode())
    working = asyncio.create_task(away.does(told(away, names.ABORT)))
    assert (await operator.does(lambda: follow.watch(operator.project))).status == ExitStatus.ABORTED
    said = await lost(line, working, operator, lambda _: True)
    assert said.status == ExitStatus.GOOD, said.err
    assert said.out.splitlines()[-1] == "abort accepted: stopping"


@pytest.mark.parametrize("answered", [True, False])
async def test_a_word_whose_answer_never_comes_may_have_been_heard(
    idle: Operator, line: Wire, *, answered: bool
) -> None:
    """As an update where a worker runs, as a signal where none does."""
    async with idle.working() if answered else contextlib.nullcontext():
        await idle.does(release(idle.project))
        if answered:
            await idle.until_the_gate()
        away = await far(idle, line)
        line.hold(REASON.encode())
        said = await away.does(told(away, names.ABORT))
        assert said.status == ExitStatus.GOING_ON
        assert said.err.splitlines()[-1].endswith(
            f"abort: it may have been heard: `python starter.py status {idle.project}` tells, "
            "look there before you send it again"
        )
    async with idle.working():
        assert (await idle.does(lambda: follow.watch(idle.project))).status == ExitStatus.ABORTED


async def test_ctrl_c_ends_the_waiting_for_an_answer(operator: Operator, line: Wire) -> None:
    await operator.does(release(operator.project))
    await operator.until_the_gate()
    away = await far(operator, line)
    line.hold(REASON.encode())
    working = asyncio.create_task(away.does(told(away, names.ABORT)))
    await line.held()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
