"""Whatever fails, is sent or is cancelled, whenever: what must always be true of a release and of its rollback."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from runbook import names, steps
from runbook.status import Status
from runbook.step import Effect
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST
from tests.servers import TemporalServer
from tests.workflows.conftest import Handle
from tests.workflows.crew import Crew, failing
from tests.workflows.real_lane import RealLane

_SAFE = [step for step in steps.ALL if step.on_board and step not in (steps.PLAN, steps.PLAN_ROLLBACK, steps.RETURN)]
_TOUCHES = {steps.PULL.name, steps.SWAP.name}
_MESSAGES = (names.APPROVE, names.REJECT, names.RETRY, names.ABORT, names.ROLL_BACK, "cancel", "cancel rollback")


@dataclass(frozen=True)
class Trouble:
    """A step that fails once: until somebody retries where it is final, otherwise until its policy tries again."""

    step: str
    cause: Cause
    final: bool


troubles = st.lists(
    st.builds(
        Trouble,
        step=st.sampled_from([step.name for step in _SAFE]),
        cause=st.sampled_from([Cause.REFUSED, Cause.UNREACHABLE, Cause.UNHEALTHY, Cause.CONTAINER_EXITED]),
        final=st.booleans(),
    ),
    max_size=4,
)
messages = st.lists(st.tuples(st.sampled_from(_MESSAGES), st.integers(0, 2000)), max_size=4)


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(troubles=troubles, messages=messages)
def test_a_release_keeps_its_promises_whatever_happens(
    temporal: TemporalServer, troubles: list[Trouble], messages: list[tuple[str, int]]
) -> None:
    asyncio.run(_play(temporal, troubles, messages))


async def _play(temporal: TemporalServer, troubles: list[Trouble], messages: list[tuple[str, int]]) -> None:
    lane = RealLane(temporal)
    for trouble in troubles:
        step = steps.BY_NAME[trouble.step]
        lane.crew.at(step, failing(trouble.cause, times=1, final=trouble.final))
    async with await lane.worker():
        handle = await lane.start()
        rollback = (await temporal.connect()).get_workflow_handle(names.rollback_lane(lane.project))
        playing = asyncio.create_task(_say(handle, rollback, messages))
        await _to_its_end(handle, rollback)
        await playing
        await lane.assert_unbroken()
    _assert_promises(lane.crew)


async def _say(run: Handle, rollback: Handle, messages: list[tuple[str, int]]) -> None:
    said = 0
    for name, milliseconds in sorted(messages, key=lambda message: message[1]):
        await asyncio.sleep((milliseconds - said) / 1000)
        said = milliseconds
        # A message that comes too late is nobody's promise.
        with contextlib.suppress(RPCError):
            await _send(run, rollback, name)


async def _send(run: Handle, rollback: Handle, name: str) -> None:
    if name == "cancel":
        await run.cancel()
    elif name == "cancel rollback":
        await rollback.cancel()
    elif name in {names.APPROVE, names.REJECT}:
        await run.signal(name, {"by": "alice", "digest": DIGEST})
    else:
        await run.signal(name, {"by": "bob", "reason": "at random"})


async def _to_its_end(run: Handle, rollback: Handle) -> None:
    """Answer whoever asks, until it ends: approve what is at the gate, retry what waits."""
    ending = asyncio.create_task(run.result())
    async with asyncio.timeout(60):
        while not ending.done():
            for each in (run, rollback):
                with contextlib.suppress(RPCError, WorkflowQueryFailedError):
                    await _answer(each)
            await asyncio.wait([ending], timeout=0.1)
    failed = ending.exception()
    assert failed is None or "ancel" in str(failed.__cause__), failed


async def _answer(run: Handle) -> None:
    status = Status.model_validate(await run.query(names.STATUS, rpc_timeout=timedelta(seconds=2)))
    if status.gate is not None and status.gate.open:
        await run.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
    elif status.needs:
        await run.signal(names.RETRY, {"by": "bob"})


def _assert_promises(crew: Crew) -> None:
    approved = next((i for i, done in enumerate(crew.log) if done.step in _TOUCHES), None)
    if approved is not None:
        kept = [entry.outcome for entry in crew.kept("gate")]
        assert "approved" in kept, "production was touched before the approval"
    assert set(crew.fleet.values()) in ({DIGEST}, {OLD_DIGEST}), f"a mixed fleet: {crew.fleet}"
    for step in (steps.TAG, steps.RECORD, steps.POSTMORTEM):
        assert step.effect is Effect.ADDS
        assert crew.effects[step.name] <= 1, f"{step.name} took effect {crew.effects[step.name]} times"
    outcomes = {entry.outcome for entry in crew.kept("outcome")}
    if "released" in outcomes:
        assert set(crew.fleet.values()) == {DIGEST}
    if {"rejected", "expired", "rolled_back", "aborted"} & outcomes:
        assert set(crew.fleet.values()) == {OLD_DIGEST}
