"""Whatever fails, is sent or is cancelled, at whichever step: what must always be true of a release and its rollback."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from runbook import names, steps
from runbook.status import Status
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.servers import TemporalServer
from tests.workflows.conftest import Handle
from tests.workflows.crew import Behaviour, Crew, failing
from tests.workflows.real_lane import RealLane

_PLANNING = (steps.PLAN, steps.PLAN_ROLLBACK, steps.RETURN)
_STEPS = [step.name for step in steps.ALL if step.on_board and step not in _PLANNING]
_PRODUCTION = (steps.PULL, steps.WAY_BACK, steps.SWAP)
_ASIDE = {steps.NOTIFY.name, steps.REMIND.name, steps.LEDGER.name, steps.IDENTIFY_SENDER.name}
_MESSAGES = (
    "nonsense",
    names.APPROVE,
    names.REJECT,
    names.RETRY,
    names.ABORT,
    names.ROLL_BACK,
    "cancel",
    "cancel rollback",
)


@dataclass(frozen=True)
class Trouble:
    """A step that fails once, `final` until somebody retries; `late`: after it took effect, as a lost answer does."""

    step: str
    cause: Cause
    final: bool
    late: bool


@dataclass(frozen=True)
class Word:
    """What is sent in the middle of a step's first attempt; the step goes on once it was delivered."""

    step: str
    message: str


@dataclass(frozen=True)
class Circumstances:
    batch_size: int
    on_unhealthy: str
    forgetful: bool


troubles = st.lists(
    st.builds(
        Trouble,
        step=st.sampled_from(_STEPS),
        cause=st.sampled_from([Cause.REFUSED, Cause.UNREACHABLE, Cause.UNHEALTHY, Cause.CONTAINER_EXITED]),
        final=st.booleans(),
        late=st.booleans(),
    ),
    max_size=3,
)
words = st.lists(st.builds(Word, step=st.sampled_from(_STEPS), message=st.sampled_from(_MESSAGES)), max_size=3)
circumstances = st.builds(
    Circumstances,
    batch_size=st.integers(1, 2),
    on_unhealthy=st.sampled_from(["roll_back", "ask"]),
    forgetful=st.booleans(),
)


@pytest.mark.timeout(600)
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(troubles=troubles, words=words, circumstances=circumstances)
def test_a_release_keeps_its_promises_whatever_happens(
    temporal: TemporalServer, troubles: list[Trouble], words: list[Word], circumstances: Circumstances
) -> None:
    asyncio.run(_play(temporal, troubles, words, circumstances))


async def _play(
    temporal: TemporalServer, troubles: list[Trouble], words: list[Word], circumstances: Circumstances
) -> None:
    lane = RealLane(temporal)
    lane.crew = Crew(
        project(
            staging={"hosts": ["staging-1"]},
            production={"batch_size": circumstances.batch_size, "on_unhealthy": circumstances.on_unhealthy},
        )
    )
    watch = Watch(lane.crew)
    for trouble in troubles:
        fails = failing(trouble.cause, times=1, final=trouble.final)
        lane.crew.at(steps.BY_NAME[trouble.step], fails, after=trouble.late)
    client = await temporal.connect()
    run = client.get_workflow_handle(names.lane(lane.project))
    rollback = client.get_workflow_handle(names.rollback_lane(lane.project))
    for word in words:
        lane.crew.at(steps.BY_NAME[word.step], _once(partial(_send, run, rollback, word.message)))
    async with await lane.worker(max_cached_workflows=0 if circumstances.forgetful else 100):
        await lane.start()
        await _to_its_end(run, rollback)
        await lane.assert_unbroken()
    watch.assert_promises()


class Watch:
    """Looks on while the crew works."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._broken: list[str] = []
        self._ended_at: int | None = None
        for step in _PRODUCTION:
            crew.at(step, self._approved)
        crew.at(steps.LEDGER, self._ended, after=True)

    def assert_promises(self) -> None:
        crew = self._crew
        assert self._broken == []
        fleet = set(crew.fleet.values())
        outcomes = [entry.outcome for entry in crew.kept("outcome")]
        event(outcomes[-1])
        assert fleet == ({DIGEST} if outcomes[-1] == "released" else {OLD_DIGEST}), f"{outcomes}: {crew.fleet}"
        assert crew.effects[steps.TAG.name] <= 1
        assert crew.effects[steps.RECORD.name] <= 1
        rolled_back = outcomes[-1] == "rolled_back"
        assert crew.effects[steps.POSTMORTEM.name] == int(rolled_back)
        assert len(outcomes) == 1 + int(rolled_back), "the release's own, and its rollback's"
        assert self._ended_at is not None
        later = {line.split()[1].partition("/")[0] for line in crew.happened[self._ended_at :] if "began" in line}
        assert later <= _ASIDE, f"begun after the end: {later - _ASIDE}"

    async def _approved(self, order: Any) -> None:
        if not any(entry.outcome == "approved" for entry in self._crew.kept("gate")):
            self._broken.append(f"{type(order).__name__} before the approval was kept")

    async def _ended(self, order: Any) -> None:
        if order.ref.workflow_id == names.lane(order.ref.project) and any(e.action == "outcome" for e in order.entries):
            self._ended_at = self._ended_at or len(self._crew.happened)


def _once(act: Callable[[], Awaitable[None]]) -> Behaviour:
    left = [act]

    async def do(_order: Any) -> None:
        if left:
            # A message that comes too late is nobody's promise.
            with contextlib.suppress(RPCError):
                await left.pop()()

    return do


async def _send(run: Handle, rollback: Handle, message: str) -> None:
    match message:
        case "cancel":
            await run.cancel()
        case "cancel rollback":
            await rollback.cancel()
        case names.APPROVE | names.REJECT:
            await run.signal(message, {"by": "alice", "digest": DIGEST})
        case "nonsense":
            await run.signal(names.APPROVE, [message])
        case _:
            await run.signal(message, {"by": "bob", "reason": "at random"})


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
