"""Where messages arrive: whatever is sent is read, judged, answered and noted, and never breaks the run."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

from runbook import names
from runbook.board import board
from runbook.decision import EXAMPLES, Decision, Instruction, Judgement, Malformed, Verdict, read_decision
from workflows.escalation import Escalation
from workflows.gate import Gate
from workflows.journal import Journal
from workflows.payload import opened, undecoded
from workflows.sender import Received

T = TypeVar("T")


class Desk:
    """Base of both workflows: their signals, update and queries."""

    journal: Journal
    gate: Gate
    _signals: Counter[str]
    escalation: Escalation | None = None
    stop: Instruction | None = None
    promoting = False
    returning = False
    _work: "asyncio.Task[Any] | None" = None

    @workflow.signal(name=names.APPROVE, description=f"Authorize the digest on show: {EXAMPLES[names.APPROVE]}")
    @undecoded
    async def approve(self, *payloads: Any) -> None:
        await self._signalled(names.APPROVE, payloads)

    @workflow.signal(name=names.REJECT, description=f"End the release at the gate: {EXAMPLES[names.REJECT]}")
    @undecoded
    async def reject(self, *payloads: Any) -> None:
        await self._signalled(names.REJECT, payloads)

    @workflow.signal(name=names.RETRY, description=f"Try the waiting step again: {EXAMPLES[names.RETRY]}")
    @undecoded
    async def retry(self, *payloads: Any) -> None:
        await self._signalled(names.RETRY, payloads)

    @workflow.signal(name=names.ABORT, description=f"Stop; after promotion began, roll back: {EXAMPLES[names.ABORT]}")
    @undecoded
    async def abort(self, *payloads: Any) -> None:
        await self._signalled(names.ABORT, payloads)

    @workflow.signal(name=names.ROLL_BACK, description=f"Return production: {EXAMPLES[names.ROLL_BACK]}")
    @undecoded
    async def roll_back(self, *payloads: Any) -> None:
        await self._signalled(names.ROLL_BACK, payloads)

    @workflow.signal(name=names.REMIND, description=f"Tell who has not decided yet: {EXAMPLES[names.REMIND]}")
    @undecoded
    async def remind(self, *payloads: Any) -> None:
        await self._signalled(names.REMIND, payloads)

    @workflow.signal(dynamic=True)
    async def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        await self._signalled(name, args)

    @workflow.update(name=names.DECIDE, description=f"A decision, answered at once: {EXAMPLES[names.DECIDE]}")
    @undecoded
    async def decide(self, *payloads: Any) -> dict[str, Any]:
        update = workflow.current_update_info()
        received = Received("update", names.DECIDE, update_id=update.id if update else "")
        return (await self._hear(received, payloads)).model_dump(mode="json")

    @workflow.query(name=names.STATUS, description="The whole release as JSON")
    def status(self) -> dict[str, Any]:
        return self.journal.status.model_dump(mode="json")

    @workflow.query(name=names.BOARD, description="The whole release as Markdown")
    def board(self) -> str:
        return board(self.journal.status)

    @property
    def waiting(self) -> Escalation:
        """Performs steps for which people can be asked; there once the run was admitted."""
        assert self.escalation is not None, "asked for before admission"  # noqa: S101 - a bug, not an input
        return self.escalation

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the run's work; `abort` and `roll_back` cancel it, as a cancellation from outside does."""
        task = asyncio.create_task(work)
        self._work = task
        self.journal.stopping = self.is_stopping
        if self.is_stopping():
            task.cancel()
        return await task

    def is_stopping(self) -> bool:
        return self.stop is not None or self.is_cancelled()

    def is_cancelled(self) -> bool:
        return workflow.cancellation_reason() is not None

    async def _signalled(self, name: str, payloads: Sequence[Any]) -> None:
        self._signals[name] += 1
        await self._hear(Received("signal", name, number=self._signals[name]), payloads)

    async def _hear(self, received: Received, payloads: Sequence[Any]) -> Verdict:
        decision = read_decision(received.name, opened(payloads))
        if isinstance(decision, Malformed):
            self.journal.note(f"not understood: {decision}")
            # Its name is the sender's choice: no row may pass for one of a step's.
            action = decision.name if decision.name in names.SIGNALS else "message"
            self.journal.ledger.say_refused("unknown", action, f"not understood: {decision}")
            return Verdict(accepted=False, why=decision.why)
        verdict = await self._judge(decision, received)
        self._remember(decision, verdict)
        return verdict

    def _remember(self, decision: Decision, verdict: Verdict) -> None:
        ledger = self.journal.ledger
        said = decision.comment if isinstance(decision, Judgement) else decision.reason
        detail = f"{verdict.why}; said: {said}" if said else verdict.why
        digest = decision.digest if isinstance(decision, Judgement) else ""
        if verdict.accepted:
            ledger.say(decision.by, decision.kind, "accepted", detail, digest=digest)
        else:
            ledger.say_refused(decision.by, decision.kind, detail, digest=digest)
        what = "accepted" if verdict.accepted else "refused"
        self.journal.note(f"{decision.kind} by {decision.by} {what}: {detail}")

    async def _judge(self, decision: Decision, received: Received) -> Verdict:
        if self.journal.status.outcome is not None or (self._work is not None and self._work.done()):
            return Verdict(accepted=False, why="it has ended already")
        if isinstance(decision, Judgement):
            return await self.gate.judge(decision, received)
        if decision.kind == names.REMIND:
            return self.gate.remind(decision)
        if decision.kind != names.RETRY:
            return self._halt(decision)
        return self._try_again(decision)

    def _try_again(self, instruction: Instruction) -> Verdict:
        if self.returning:
            return Verdict(accepted=False, why=f"production is being rolled back by {self._rollback}: send it there")
        if self.escalation is None:
            return Verdict(accepted=False, why="no step waits for a person, so there is nothing to retry")
        return self.escalation.answer(instruction)

    def _halt(self, instruction: Instruction) -> Verdict:
        why_not = self._why_not_halted(instruction.kind)
        if why_not:
            return Verdict(accepted=False, why=why_not)
        self.stop = instruction
        if self._work is not None:
            self._work.cancel()
        return Verdict(accepted=True, why="rolling back" if self.promoting else "stopping")

    @property
    def _rollback(self) -> str:
        """The run of its own that returns production; what it needs a person for is answered there."""
        return names.rollback_lane(self.journal.status.project)

    def _why_not_halted(self, kind: str) -> str:
        if self.stop is not None:
            return f"it is stopping already, {self.stop.by} asked for it"
        if self.returning:
            return f"production is being rolled back already; only an abort sent to {self._rollback} gives that up"
        if kind == names.ROLL_BACK and self.journal.status.kind == "rollback":
            return "it is a rollback: it goes on until production is back, only abort gives it up"
        if kind == names.ROLL_BACK and not self.promoting:
            return "production was not touched yet: send abort to stop the release"
        return ""
