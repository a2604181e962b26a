"""The ledger's rows that are no step's: what people decided, the gate, the outcome; in their order, each once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from runbook import steps
from runbook.message import ReleaseRef
from runbook.record import EntriesToKeep, Entry
from workflows.performing import perform

_BATCH = 50
_REFUSALS_KEPT = 30
_DETAIL = 2000
_LONGEST_PAUSE = timedelta(hours=1)


class Ledger:
    """Rows are written beside the run, for ever if need be; `keep` waits until its row is there."""

    def __init__(self, ref: ReleaseRef, trouble: Callable[[str], None]) -> None:
        self.ref = ref
        self._trouble = trouble
        self._unwritten: list[Entry] = []
        self._said = 0
        self._written = 0
        self._writer: asyncio.Task[None] | None = None
        self.refusals = 0

    def go_on_after(self, entries: int, refusals: int) -> None:
        """So many rows were written, and so many messages refused, by the run before this one."""
        self._said = self._written = entries
        self.refusals = refusals

    @property
    def entries(self) -> int:
        return self._said

    @property
    def is_written(self) -> bool:
        return self._written == self._said

    @property
    def dropped_refusals(self) -> int:
        return max(self.refusals - _REFUSALS_KEPT, 0)

    def say(self, actor: str, action: str, outcome: str, detail: str = "", *, event: str = "", **more: Any) -> int:
        """Have the row written soon; its number in this run. `more`: `digest`, `evidence` and `place` of the entry.

        `event` is the row's for every run that says it; without it the row is this run's own.
        """
        self._said += 1
        self._unwritten.append(
            Entry(
                event=event or f"{self.ref.release}/said/{self._said}",
                actor=actor,
                action=action,
                outcome=outcome,
                detail=printable(detail)[:_DETAIL],
                version=self.ref.version,
                **more,
            )
        )
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return self._said

    def say_refused(self, actor: str, action: str, detail: str, **more: Any) -> None:
        """The same for what a person sent and was refused; beyond the first 30 they are only counted."""
        self.refusals += 1
        if self.refusals <= _REFUSALS_KEPT:
            self.say(actor, action, "refused", detail, **more)

    async def keep(self, actor: str, action: str, outcome: str, detail: str = "", **more: Any) -> None:
        """Have the row written, and return when it is."""
        number = self.say(actor, action, outcome, detail, **more)
        await workflow.wait_condition(lambda: self._written >= number)

    async def _write(self) -> None:
        while self._unwritten:
            batch = self._unwritten[:_BATCH]
            await self._insist(EntriesToKeep(ref=self.ref, entries=batch))
            del self._unwritten[: len(batch)]
            self._written += len(batch)

    async def _insist(self, order: EntriesToKeep) -> None:
        pause = timedelta(minutes=1)
        while True:
            try:
                await perform(steps.LEDGER, order)
                return
            except ActivityError as error:
                self._trouble(f"the ledger can't be written, tried again until it can: {error.cause or error}")
                await workflow.sleep(pause, summary="the ledger can't be written")
                pause = min(2 * pause, _LONGEST_PAUSE)


def printable(text: str) -> str:
    """The text without control characters, which databases and terminals take badly."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)
