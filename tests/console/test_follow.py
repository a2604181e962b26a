"""Following: to every kind of end, with the exit status that says it, through a worker's absence."""

import asyncio
import functools
import json

from console import begin, follow, look
from console.exit_status import ExitStatus
from console.session import Work
from runbook import names, steps
from runbook.trouble import Cause
from tests.operators import Operator
from tests.projects import DIGEST
from tests.workflows.crew import failing


def released(operator: Operator) -> Work:
    return begin.release(operator.project, "1.4.0", commit=None, reason="weekly", by="carol", wait=True)


async def test_waiting_follows_to_released_and_tells_each_step_once(operator: Operator) -> None:
    waiting = asyncio.create_task(operator.does(lambda: released(operator)))
    await operator.reads("waiting at the gate")
    await operator.approve()
    said = await waiting
    assert said.status == ExitStatus.GOOD, said.err
    assert said.out.count(f"✔ {steps.TAG.title}") == 1
    assert said.out.splitlines()[-1].startswith(f"{operator.project} 1.4.0: released")


async def test_a_rejection_is_status_3(operator: Operator) -> None:
    waiting = asyncio.create_task(operator.does(lambda: released(operator), json=True))
    await operator.until_the_gate()
    handle = operator.client.get_workflow_handle(names.lane(operator.project))
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "not today"})
    said = await waiting
    assert said.status == ExitStatus.REJECTED
    assert [json.loads(line) for line in said.out.splitlines()], "every line is JSON"
    assert said.data["outcome"] == "rejected"
    assert "not today" in said.data["summary"]


async def test_a_cancelled_release_is_status_5_and_a_terminated_one_1(operator: Operator) -> None:
    handle = operator.client.get_workflow_handle(names.lane(operator.project))
    for end, expected in ((handle.cancel, ExitStatus.ABORTED), (handle.terminate, ExitStatus.FAILED)):
        waiting = asyncio.create_task(operator.does(lambda: released(operator)))
        await operator.until_the_gate()
        await end()
        assert (await waiting).status == expected


async def test_a_rolled_back_release_is_status_6(operator: Operator) -> None:
    operator.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "no answer"))
    waiting = asyncio.create_task(operator.does(lambda: released(operator)))
    await operator.until_the_gate()
    await operator.approve()
    assert (await waiting).status == ExitStatus.ROLLED_BACK


async def test_watching_goes_on_without_a_worker_and_says_so(idle: Operator) -> None:
    async with idle.working():
        await idle.does(lambda: begin.release(idle.project, "1.4.0", commit=None, reason="", by="carol", wait=False))
        await idle.until_the_gate()
    watching = asyncio.create_task(idle.does(lambda: follow.watch(idle.project)))
    await asyncio.sleep(2.5)
    assert not watching.done()
    async with idle.working():
        await idle.approve()
        said = await watching
    assert said.status == ExitStatus.GOOD
    assert "still asking" in said.err or "no worker polls" in said.err


async def test_watching_an_ended_release_says_how_it_ended(operator: Operator) -> None:
    waiting = asyncio.create_task(operator.does(lambda: released(operator)))
    await operator.until_the_gate()
    await operator.approve()
    await waiting
    said = await operator.does(lambda: follow.watch(operator.project))
    assert said.status == ExitStatus.GOOD
    assert f"{operator.project} 1.4.0: released" in said.out


async def test_a_project_that_never_was_released_is_said_in_one_line(operator: Operator) -> None:
    for prepare in (follow.watch, look.status):
        said = await operator.does(functools.partial(prepare, operator.project))
        assert said.status == ExitStatus.REFUSED
        assert said.err.splitlines() == [
            f"Temporal knows no release or rollback of {operator.project}: start one with `start {operator.project} VERSION`"
        ]
