"""Where messages arrive: whatever is sent is read, judged, answered and noted, and never breaks the run."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from runbook import names
    from runbook.board import board
    from runbook.decision import EXAMPLES, Instruction, Malformed, Verdict, read_decision
    from workflows.escalation import Escalation
    from workflows.gate import Gate
    from workflows.journal import Journal

T = TypeVar("T")


class Desk:
    """Base of both workflows: their signals, update and queries."""

    journal: Journal
    gate: Gate
    escalation: Escalation | None = None
    stop: Instruction | None = None
    promoting = False
    _work: "asyncio.Task[Any] | None" = None

    @workflow.signal(name=names.APPROVE, description=f"Authorize the digest on show: {EXAMPLES[names.APPROVE]}")
    def approve(self, payload: Any = None, *more: Any) -> None:
        self._hear(names.APPROVE, (payload, *more))

    @workflow.signal(name=names.REJECT, description=f"End the release at the gate: {EXAMPLES[names.REJECT]}")
    def reject(self, payload: Any = None, *more: Any) -> None:
        self._hear(names.REJECT, (payload, *more))

    @workflow.signal(name=names.RETRY, description=f"Try the waiting step again: {EXAMPLES[names.RETRY]}")
    def retry(self, payload: Any = None, *more: Any) -> None:
        self._hear(names.RETRY, (payload, *more))

    @workflow.signal(name=names.ABORT, description=f"Stop; after promotion began, roll back: {EXAMPLES[names.ABORT]}")
    def abort(self, payload: Any = None, *more: Any) -> None:
        self._hear(names.ABORT, (payload, *more))

    @workflow.signal(name=names.ROLL_BACK, description=f"Return production: {EXAMPLES[names.ROLL_BACK]}")
    def roll_back(self, payload: Any = None, *more: Any) -> None:
        self._hear(names.ROLL_BACK, (payload, *more))

    @workflow.signal(dynamic=True)
    def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        self._hear(name, args)

    @workflow.update(name=names.DECIDE, description=f"A decision, answered at once: {EXAMPLES[names.DECIDE]}")
    async def decide(self, payload: Any = None, *more: Any) -> dict[str, Any]:
        return self._hear(names.DECIDE, (payload, *more)).model_dump(mode="json")

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
        return await task

    def is_stopping(self) -> bool:
        return self.stop is not None or workflow.cancellation_reason() is not None

    def _hear(self, name: str, payloads: Sequence[Any]) -> Verdict:
        decision = read_decision(name, payloads)
        if isinstance(decision, Malformed):
            self.journal.note(f"not understood: {decision}")
            return Verdict(accepted=False, why=decision.why)
        verdict = self._judge(decision) if isinstance(decision, Instruction) else self._at_gate(decision)
        said = "accepted" if verdict.accepted else "refused"
        self.journal.note(f"{decision.kind} by {decision.by} {said}: {verdict.why}")
        return verdict

    def _at_gate(self, decision: Any) -> Verdict:
        return self.gate.judge(decision)

    def _judge(self, instruction: Instruction) -> Verdict:
        if self.journal.status.outcome is not None:
            return Verdict(accepted=False, why="it has ended already")
        if instruction.kind == names.RETRY:
            if self.escalation is None:
                return Verdict(accepted=False, why="no step waits for a person, so there is nothing to retry")
            return self.escalation.answer(instruction)
        return self._halt(instruction)

    def _halt(self, instruction: Instruction) -> Verdict:
        if instruction.kind == names.ROLL_BACK and not self.promoting:
            return Verdict(accepted=False, why="production was not touched yet: send abort to stop the release")
        if self.stop is not None:
            return Verdict(accepted=False, why=f"it is stopping already, {self.stop.by} asked for it")
        if self._work is None:
            return Verdict(accepted=False, why="it has not begun")
        self.stop = instruction
        self._work.cancel()
        return Verdict(accepted=True, why="rolling back" if self.promoting else "stopping")
