"""Decisions: what is sent, what becomes of it, and what is never sent by accident."""

import asyncio

from console import begin, decide, follow
from console.exit_status import ExitStatus
from runbook import names, steps
from runbook.trouble import Cause
from tests.operators import Operator, Said
from tests.projects import DIGEST
from tests.workflows.crew import failing


async def at_the_gate(operator: Operator) -> None:
    await operator.does(
        lambda: begin.release(operator.project, "1.4.0", commit=None, reason="", by="carol", wait=False)
    )
    await operator.until_the_gate()


async def judged(operator: Operator, decision: str, *, digest: str | None = DIGEST, by: str = "alice") -> Said:
    return await operator.does(lambda: decide.judge(operator.project, decision, digest=digest, comment="ok", by=by))


async def instructed(operator: Operator, instruction: str, step: str | None = None) -> Said:
    return await operator.does(
        lambda: decide.instruct(operator.project, instruction, reason="because", step=step, by="alice")
    )


async def test_an_approval_is_answered_and_the_release_goes_on(operator: Operator) -> None:
    await at_the_gate(operator)
    said = await judged(operator, names.APPROVE)
    assert (said.status, said.out) == (ExitStatus.GOOD, "approve accepted: approved: promotion begins\n")
    assert (await operator.does(lambda: follow.watch(operator.project))).status == ExitStatus.GOOD


async def test_a_refused_approval_says_why_and_is_status_2(operator: Operator) -> None:
    await at_the_gate(operator)
    for by, digest, why in (
        ("mallory", DIGEST, "mallory may not decide here"),
        ("alice", "sha256:" + "f" * 64, "is not the digest on show"),
    ):
        said = await judged(operator, names.APPROVE, by=by, digest=digest)
        assert said.status == ExitStatus.REFUSED
        assert why in said.err
    assert (await operator.until_the_gate()).gate is not None


async def test_without_a_terminal_the_digest_must_be_said(operator: Operator) -> None:
    await at_the_gate(operator)
    said = await judged(operator, names.APPROVE, digest=None)
    assert said.status == ExitStatus.REFUSED
    assert f"--digest {DIGEST}" in said.err


async def test_a_gate_that_is_not_open_is_said_with_where_the_release_is(operator: Operator) -> None:
    operator.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "protected"))
    await operator.does(
        lambda: begin.release(operator.project, "1.4.0", commit=None, reason="", by="carol", wait=False)
    )
    await operator.until(lambda status: bool(status.needs))
    said = await judged(operator, names.APPROVE, digest=None)
    assert said.status == ExitStatus.REFUSED
    assert "the gate is not open, release 1.4.0 is waiting for a person at tag" in said.err


async def test_a_rejection_ends_the_release(operator: Operator) -> None:
    await at_the_gate(operator)
    assert (await judged(operator, names.REJECT)).status == ExitStatus.GOOD
    assert (await operator.does(lambda: follow.watch(operator.project))).status == ExitStatus.REJECTED


async def test_retry_is_heard_by_the_step_that_waits_and_refused_when_none_does(operator: Operator) -> None:
    operator.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "protected", times=1))
    await operator.does(
        lambda: begin.release(operator.project, "1.4.0", commit=None, reason="", by="carol", wait=False)
    )
    await operator.until(lambda status: bool(status.needs))
    assert (await instructed(operator, names.RETRY, step="uat")).status == ExitStatus.REFUSED
    assert (await instructed(operator, names.RETRY)).status == ExitStatus.GOOD
    await operator.until_the_gate()
    said = await instructed(operator, names.RETRY)
    assert said.status == ExitStatus.REFUSED
    assert "nothing to retry" in said.err


async def test_abort_stops_and_roll_back_before_promotion_is_refused(operator: Operator) -> None:
    await at_the_gate(operator)
    said = await instructed(operator, names.ROLL_BACK)
    assert said.status == ExitStatus.REFUSED
    assert "send abort" in said.err
    assert (await instructed(operator, names.ABORT)).status == ExitStatus.GOOD
    assert (await operator.does(lambda: follow.watch(operator.project))).status == ExitStatus.ABORTED


async def test_an_abort_without_a_worker_is_kept_and_heard_by_the_next_one(idle: Operator) -> None:
    await idle.client.start_workflow(
        names.RELEASE_WORKFLOW,
        {"project": idle.project, "version": "1.4.0", "requested_by": "carol"},
        id=names.lane(idle.project),
        task_queue=idle.queue,
    )
    said = await instructed(idle, names.ABORT)
    assert said.status == ExitStatus.GOOD
    assert "heard as soon as a worker runs" in said.out
    async with idle.working():
        said = await idle.does(lambda: follow.watch(idle.project))
        status = await idle.until(lambda _: True)
    assert any("abort by alice" in message for message in status.messages)


async def test_nothing_going_on_is_said_with_when_the_last_run_ended(operator: Operator) -> None:
    await at_the_gate(operator)
    await judged(operator, names.REJECT)
    await operator.does(lambda: follow.watch(operator.project))
    await asyncio.sleep(0)
    said = await judged(operator, names.APPROVE)
    assert said.status == ExitStatus.REFUSED
    assert "nothing is going on, the last run ended" in said.err
