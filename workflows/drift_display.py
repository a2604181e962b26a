"""What people see of a drift check: its report as current details and as search attributes."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from runbook import names
from runbook.drift_board import drift_board
from runbook.drift_check import DriftReport
from runbook.message import ReleaseRef
from workflows.ledger import printable

_PROJECT = SearchAttributeKey.for_keyword(names.SEARCH_PROJECT)
_VERSION = SearchAttributeKey.for_keyword(names.SEARCH_VERSION)
_OUTCOME = SearchAttributeKey.for_keyword(names.SEARCH_OUTCOME)


class DriftDisplay:
    """`searchable` is switched on once a worker has said that the search attributes exist."""

    def __init__(self, ref: ReleaseRef) -> None:
        self.searchable = False
        self.report = DriftReport(
            project=ref.project,
            workflow_id=ref.workflow_id,
            run_id=ref.release,
            requested_by=ref.requested_by,
            started=workflow.info().start_time,
        )

    def show(self, **found: Any) -> None:
        """These fields of the report from now on."""
        self.report = self.report.model_copy(update=found)
        workflow.set_current_details(drift_board(self.report))
        if self.searchable and "verdict" in found:
            workflow.upsert_search_attributes(  # pyright: ignore[reportUnknownMemberType] - partly untyped
                [
                    _PROJECT.value_set(self.report.project),
                    _VERSION.value_set(self.report.version),
                    _OUTCOME.value_set(str(self.report.verdict)),
                ]
            )

    def note(self, what: str) -> None:
        """Keep this beside what was found."""
        self.show(notes=[*self.report.notes, printable(what)[:600]][-20:])
