"""One run: a release, a release that rolls back, or one rejected at the gate, under the faults of a plan."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from deploy.demo.outside import Outside
from runbook import names
from runbook.message import ReleaseOrder
from runbook.status import Outcome, Status
from tests.chaos.fault import KILL, KILL_OWNER, STOP, TEMPORAL, TEMPORAL_20, Shot, write_shots
from tests.chaos.house import ChaosHouse
from tests.chaos.service import Service
from tests.chaos.verdict import Before, Verdict, judge
from tests.growth import Growth

T = TypeVar("T")

RELEASE, ROLLBACK, GATE = "release", "rollback", "gate"
OUTCOME = {RELEASE: Outcome.RELEASED, ROLLBACK: Outcome.ROLLED_BACK, GATE: Outcome.REJECTED}
GATE_OPEN, GATE_APPROVED = "gate/open", "gate/approved"

_LONGEST = 60.0
_LONGER_FOR_A_SHOT = 45.0
_LOOK_EVERY = 0.25
_AFTERMATH = 1.5
_QUIET_AFTER = 2.0
_NOTICED_AFTER = 0.5
_numbers = itertools.count(1)


@dataclass
class Run:
    """What became of it; `at` are the moments of the run's own marks, in seconds since 1970."""

    scenario: str
    version: str
    shots: list[Shot]
    folder: Path
    seconds: float = 0.0
    fired: dict[int, float] = field(default_factory=dict[int, float])
    at: dict[str, float] = field(default_factory=dict[str, float])
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def is_good(self) -> bool:
        return not self.verdict.faults and not self.verdict.human


class Player:
    """Plays one run after another in one house."""

    def __init__(self, house: ChaosHouse) -> None:
        self._house = house
        self._outside = Outside(house)
        self._client: Client | None = None
        self._run_id: str | None = None

    async def play(self, scenario: str, shots: list[Shot]) -> Run:
        """Everything is as it should be before it; a run that failed is cleared away."""
        number = next(_numbers)
        run = Run(scenario, f"1.0.{number}", shots, self._house.chaos / f"{number:04}-{scenario}")
        run.folder.mkdir()
        await self._house.fill_crew()
        broken = f"v{run.version}" if scenario == ROLLBACK else "none"
        await self._house.drift(self._house.facts.having("production")[1], "BROKEN_VERSIONS", broken)
        commit = await self._house.publish(run.version)
        before = await Before.of(self._house, commit)
        write_shots(self._house.plan, run.folder, shots)
        began = time.monotonic()
        service = Service(self._house, run.folder, shots)
        serving = asyncio.create_task(service.serve())
        try:
            status, human = await self._through(run, service, serving)
        finally:
            run.seconds = time.monotonic() - began
            await service.settle()
            if shots:
                await asyncio.sleep(_AFTERMATH)  # whoever came back to life has had its chance to do harm
            serving.cancel()
            run.fired = dict(service.fired)
            self._house.idle()
        run.verdict = await judge(self._house, self._outside, before, run.version, status, OUTCOME[scenario])
        # A need that a notice told of is in the ledger too.
        run.verdict.human = run.verdict.human or human
        run.verdict.faults += [f"{shot.point} was never passed" for shot in shots if shot.number not in run.fired]
        if status is None or status.outcome is None:
            await self._clear_away(run)
        return run

    async def _through(
        self, run: Run, service: Service, serving: asyncio.Task[None]
    ) -> tuple[Status | None, list[str]]:
        """The last status that was seen, and what needed a person."""
        playing = asyncio.create_task(self._play(run, service))
        patience = _LONGEST + _LONGER_FOR_A_SHOT * len(run.shots)
        await asyncio.wait({playing, serving}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            playing.cancel()
            serving.result()
        if not playing.done():
            playing.cancel()
            run.verdict.faults.append(f"not ended after {patience:g} s")
            return await self._looked(), []
        return playing.result()

    async def _play(self, run: Run, service: Service) -> tuple[Status | None, list[str]]:
        order = ReleaseOrder(project="shop", version=run.version, requested_by="carol", reason="chaos")
        run.at["start"] = time.time()
        self._run_id = await self._insist(lambda: self._start(order))
        status = await self._until(lambda seen: seen.gate is not None and seen.gate.open)
        if status.needs or status.outcome or status.gate is None:
            return status, [need.what for need in status.needs]
        await self._at_gate(run, service, GATE_OPEN)
        kind = names.REJECT if run.scenario == GATE else names.APPROVE
        decision = {"by": "alice", "digest": status.digest, "comment": "chaos"}
        run.at["signal"] = time.time()
        await self._insist(lambda: self._handle.signal(kind, decision))
        await self._at_gate(run, service, GATE_APPROVED)
        status = await self._until(lambda _: False)
        run.at["end"] = time.time()
        if not status.needs:
            await self._closed()
        return status, [need.what for need in status.needs]

    async def _closed(self) -> None:
        """Rows and notices beside its way may still be on when the outcome is known."""

        async def result() -> None:
            try:
                await self._handle.result(rpc_timeout=None)
            except WorkflowFailureError as error:
                raise RuntimeError(f"the run failed: {error.cause}") from error

        await self._insist(result)

    async def _at_gate(self, run: Run, service: Service, point: str) -> None:
        """The faults that hit while nothing but a person is waited for: all workers, or the server."""
        for shot in run.shots:
            if shot.point != point:
                continue
            service.fired[shot.number] = time.time()
            if shot.fault == KILL:
                self._house.kill_crew()
                await service.replace()
            elif shot.fault == KILL_OWNER:
                await service.settle()
                await asyncio.sleep(_QUIET_AFTER)
                os.kill(await self._owner(), signal.SIGKILL)
                # At once, the server still gives the decision to the dead worker's poll, for its 10 s.
                await asyncio.sleep(_NOTICED_AFTER)
            elif shot.fault in {TEMPORAL, TEMPORAL_20}:
                await service.take_temporal(20.0 if shot.fault == TEMPORAL_20 else 0.0)
            elif shot.fault == STOP:
                await service.stop_crew(7.0)

    async def _owner(self) -> int:
        """The pid of the worker that did the newest workflow task: the next one goes to it first."""
        history = await self._handle.fetch_history()
        done = [event.workflow_task_completed_event_attributes.identity for event in history.events]
        # As process/connection.py has it: program@host/pid/user.
        return int(next(identity for identity in reversed(done) if identity).split("/")[1])

    async def _until(self, reached: Callable[[Status], bool]) -> Status:
        """Also when it has ended, or when a person is needed."""
        growth = Growth(self._handle)
        while True:
            if await self._insist(growth.seen):
                status = await self._insist(self._status)
                if reached(status) or status.outcome or status.needs:
                    return status
            await asyncio.sleep(_LOOK_EVERY)

    async def _looked(self) -> Status | None:
        try:
            async with asyncio.timeout(15):
                return await self._insist(self._status)
        except TimeoutError:
            return None

    async def _status(self) -> Status:
        return Status.model_validate(await self._handle.query(names.STATUS, rpc_timeout=timedelta(seconds=5)))

    @property
    def _handle(self) -> WorkflowHandle[Any, Any]:
        assert self._client is not None
        return self._client.get_workflow_handle(names.lane("shop"), run_id=self._run_id)

    async def _start(self, order: ReleaseOrder) -> str | None:
        if self._client is None:
            self._client = await self._house.connect()
        handle = await self._client.start_workflow(
            names.RELEASE_WORKFLOW,
            order,
            id=names.lane("shop"),
            task_queue=names.TASK_QUEUE,
            # Asked again when the answer was lost.
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return handle.result_run_id

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """The server may be away."""
        while True:
            try:
                return await call()
            # A worker that was away may answer a query from what it remembers, which is another way than the release went.
            except (RPCError, WorkflowQueryFailedError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "the run failed" in str(error):
                    raise
                await asyncio.sleep(_LOOK_EVERY)

    async def _clear_away(self, run: Run) -> None:
        """A release that hangs is ended, so that the house can be used again; its logs stay."""
        assert self._client is not None
        for handle in (self._handle, self._client.get_workflow_handle(names.rollback_lane("shop"))):
            try:
                await handle.terminate(f"chaos: {run.verdict.faults[:1]}")
            except RPCError:
                continue
