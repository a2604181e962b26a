"""What people see of a run: its status as the board in Temporal's UI, and as search attributes."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from runbook import names
from runbook.board import board
from runbook.status import Outcome, Status
from workflows.ledger import printable

_STAGE = SearchAttributeKey.for_keyword(names.SEARCH_STAGE)
_OUTCOME = SearchAttributeKey.for_keyword(names.SEARCH_OUTCOME)
_NEEDS = SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON)
_PROJECT = SearchAttributeKey.for_keyword(names.SEARCH_PROJECT)
_VERSION = SearchAttributeKey.for_keyword(names.SEARCH_VERSION)
_MESSAGES_KEPT = 50


class Display:
    """The status of one run. `searchable` is switched on once a worker has said that the search attributes exist."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.searchable = False
        self._shown: dict[str, Any] = {}
        self._drawing = False

    def note(self, message: str) -> None:
        """Show this on the board, among the newest messages."""
        self.status.messages.append(f"{workflow.now().time().isoformat('seconds')} {printable(message)}"[:600])
        if len(self.status.messages) > _MESSAGES_KEPT:
            self.status.unheard += len(self.status.messages) - _MESSAGES_KEPT
            del self.status.messages[:-_MESSAGES_KEPT]
        self.changed()

    def stage(self, name: str) -> None:
        """What the release is at now; an empty name leaves it where it was."""
        self.status.stage = name or self.status.stage
        self.changed()

    def close(self, outcome: Outcome, summary: str) -> None:
        self.status.outcome, self.status.summary, self.status.stage = outcome, summary, "done"
        self.status.finished = workflow.now()
        self.changed()

    def changed(self) -> None:
        """Show the status as it is now; the board is drawn once for all that changes at once."""
        if not self._drawing:
            self._drawing = True
            asyncio.get_running_loop().call_soon(self._draw)
        if not self.searchable:
            return
        outcome = self.status.outcome and str(self.status.outcome)
        wanted: list[tuple[SearchAttributeKey[Any], Any]] = [
            (_PROJECT, self.status.project),
            (_VERSION, self.status.version),
            (_STAGE, self.status.stage),
            (_OUTCOME, outcome),
            (_NEEDS, self.status.needs_person),
        ]
        updates: list[SearchAttributeUpdate[Any]] = [
            key.value_set(value) for key, value in wanted if value is not None and self._shown.get(key.name) != value
        ]
        if updates:
            self._shown |= {key.name: value for key, value in wanted}
            workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType] - partly untyped

    def _draw(self) -> None:
        self._drawing = False
        workflow.set_current_details(board(self.status))
