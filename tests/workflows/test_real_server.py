"""What the time-skipping server can't show: workers that come and go, and messages that meet many ends at once."""

import asyncio
import gc
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from runbook import names, steps
from runbook.status import Outcome, ReleaseResult, Status
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.servers import TemporalServer
from tests.workflows.brief_release import BriefRelease
from tests.workflows.conftest import Handle
from tests.workflows.crew import Crew, Hold, failing
from tests.workflows.real_lane import RealLane

FLOODS = 10


@pytest.fixture
async def real(temporal: TemporalServer, unbroken_log: None) -> AsyncGenerator[RealLane]:
    lane = RealLane(temporal)
    yield lane
    await lane.assert_unbroken()


def at_gate(status: Status) -> bool:
    return status.gate is not None and status.gate.open


async def answered(handle: Handle, decision: Any) -> Any:
    """As the starter asks: again where a run that is about to end could not take it, under one id."""
    update_id = uuid.uuid4().hex
    while True:
        try:
            return await handle.execute_update(names.DECIDE, decision, id=update_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise


async def result(handle: Handle) -> ReleaseResult:
    async with asyncio.timeout(60):
        return ReleaseResult.model_validate(await handle.result())


async def test_an_abort_that_meets_many_ends_stops_it_all_the_same(real: RealLane) -> None:
    async with await real.worker():
        for turn in range(6):
            handle = await real.start()
            seen = len(real.crew.happened)
            while not any("ended" in line for line in real.crew.happened[seen + 2 + turn % 8 :]):
                await asyncio.sleep(0)
            await handle.signal(names.ABORT, {"by": "bob"})
            assert (await result(handle)).outcome is Outcome.ABORTED
    assert not real.crew.count(steps.PULL)


async def test_a_worker_that_ends_in_the_middle_asks_nothing_more_of_temporal(real: RealLane) -> None:
    """A run that a worker drops is closed coroutine by coroutine; warnings are errors here."""
    async with await real.worker():
        handle = await real.start()
        await real.until(handle, lambda status: status.gate is not None)
    gc.collect()
    hold = Hold()
    real.crew.at(steps.PULL, hold, "production-2")
    async with await real.worker():
        await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        async with asyncio.timeout(60):
            await hold.reached.wait()
    gc.collect()
    real.crew.forget(steps.PULL, "production-2")
    async with await real.worker():
        assert (await result(handle)).outcome is Outcome.RELEASED
    gc.collect()
    assert set(real.crew.fleet.values()) == {DIGEST}


async def test_no_message_is_lost_while_a_gate_goes_on_in_a_new_run(real: RealLane) -> None:
    """Signals and updates from many at once, some of which meet the end of a run."""
    real.release = BriefRelease
    junk = {"by": "mallory", "digest": DIGEST}
    async with await real.worker():
        handle = await real.start()
        await real.until(handle, at_gate)
        for _ in range(FLOODS):
            signals = [handle.signal(names.APPROVE, junk) for _ in range(20)]
            answers = await asyncio.gather(*(answered(handle, "junk") for _ in range(4)), *signals)
            assert [answer["accepted"] for answer in answers[:4]] == [False] * 4
        status = Status.model_validate(await handle.query(names.STATUS))
        assert status.gate is not None
        assert status.gate.refused == FLOODS * 20
        described = await handle.describe()
        assert described.run_id != handle.result_run_id
        await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        assert (await result(handle)).outcome is Outcome.RELEASED


async def test_workers_may_come_and_go_during_a_rollback(real: RealLane) -> None:
    holds = [real.crew.hold(steps.PUT_BACK, host) for host in ("production-1", "production-2")]
    async with await real.worker():
        handle = await real.start()
        await real.until(handle, lambda status: status.gate is not None)
        hold = real.crew.hold(steps.SWAP, "production-3", stubborn=True)
        await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        await hold.reached.wait()
        await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "checkout fails"})
        await real.until(handle, lambda status: len(status.messages) > 1)
        hold.let_go.set()
        await holds[0].reached.wait()
    gc.collect()
    async with await real.worker():
        await holds[1].reached.wait()
        for held in holds:
            held.let_go.set()
        assert (await result(handle)).outcome is Outcome.ROLLED_BACK
    assert set(real.crew.fleet.values()) == {OLD_DIGEST}
    assert real.crew.effects[steps.POSTMORTEM.name] == 1


async def test_a_cancel_that_meets_the_end_of_the_last_step_rolls_back_or_releases_but_never_half(
    real: RealLane,
) -> None:
    real.crew = Crew(project())
    hold = real.crew.hold(steps.SOAK)
    async with await real.worker():
        handle = await real.start()
        await real.until(handle, lambda status: status.gate is not None)
        await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        await hold.reached.wait()
        hold.let_go.set()
        await handle.cancel()
        outcome = (await result(handle)).outcome
    assert set(real.crew.fleet.values()) == ({DIGEST} if outcome is Outcome.RELEASED else {OLD_DIGEST})


async def test_the_rollback_of_an_earlier_release_is_waited_for(real: RealLane) -> None:
    """Its release was terminated, so the lane was free: two rollbacks of one production must not overlap."""
    real.crew = Crew(project())
    real.crew.at(steps.SOAK, failing(Cause.UNHEALTHY, "checkout fails"))
    hold = real.crew.hold(steps.PUT_BACK, "production-2")
    async with await real.worker():
        first = await real.start()
        await real.until(first, lambda status: status.gate is not None)
        await first.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        await hold.reached.wait()
        await first.terminate("by mistake")
        second = await real.start()
        await real.until(second, lambda status: status.gate is not None)
        await second.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        await real.until(second, lambda status: any("still goes on" in said for said in status.messages))
        assert real.crew.count(steps.PUT_BACK, "production-1") == 1
        hold.let_go.set()
        assert (await result(second)).outcome is Outcome.ROLLED_BACK
    assert real.crew.count(steps.PUT_BACK, "production-1") == 2
    assert real.crew.effects[steps.POSTMORTEM.name] == 2
    assert len(real.crew.told("a rollback waits for another")) == 1
    assert set(real.crew.fleet.values()) == {OLD_DIGEST}
