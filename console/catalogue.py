"""The lists: which releases there are, which wait for people, and to which versions one can go back."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from rich.table import Table
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from console.ending import Ending, ending
from console.exit_status import ExitStatus
from console.lane import Lane
from console.moments import age, in_words
from console.output import plain
from console.refusal import Refusal, checked
from console.session import Session, Work
from process.attributes import WAITING
from runbook import names
from runbook.identifier import ProjectName
from runbook.status import Outcome

_TYPES = " OR ".join(f"WorkflowType = '{name}'" for name in sorted(names.LANE_WORKFLOWS))
# A run that went on in another is no release of its own.
_RUNS = f"({_TYPES}) AND ExecutionStatus != 'ContinuedAsNew'"
_TEXTS = {
    "project": SearchAttributeKey.for_keyword(names.SEARCH_PROJECT),
    "version": SearchAttributeKey.for_keyword(names.SEARCH_VERSION),
    "stage": SearchAttributeKey.for_keyword(names.SEARCH_STAGE),
    "outcome": SearchAttributeKey.for_keyword(names.SEARCH_OUTCOME),
}
_NEEDS = SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON)
_PREFIX = names.lane("")


def runs(limit: int) -> Work:
    """What waits for people first, then the newest."""

    async def work(session: Session) -> ExitStatus:
        waiting = await _waiting(session, limit)
        ids = {entry["run_id"] for entry in waiting}
        recent = [await _told(session, run) async for run in _listed(session, _RUNS, limit)]
        entries = waiting + [entry for entry in recent if entry["run_id"] not in ids]
        _show(session, entries, ("project", "version", "kind", "state", "stage", "needs_person", "started", "ended"))
        session.output.data(entries)
        return ExitStatus.GOOD

    return work


def good_versions(project: str, limit: int) -> Work:
    """The versions that were released well, newest first, as far back as Temporal remembers; then what ran before them."""
    checked(ProjectName, project)

    async def work(session: Session) -> ExitStatus:
        lane = Lane(session, project)
        query = f"WorkflowId = '{lane.workflow_id}' AND WorkflowType = '{names.RELEASE_WORKFLOW}'"
        entries: list[dict[str, Any]] = []
        first: Ending | None = None
        async for run in _listed(session, f"{query} AND ExecutionStatus = 'Completed'", limit):
            ended = await ending(lane, await lane.found(run.run_id))
            if ended is not None and ended.outcome == Outcome.RELEASED:
                entries.append(_good_version(ended, run))
                first = first or (ended if ended.ran_before else None)
        if first is not None and first.ran_before not in {entry["version"] for entry in entries}:
            entries.append(_before(first))
        if not entries:
            await lane.found()  # raises Refusal where there is no such project
        _show(session, entries, ("version", "digest", "released", "age", "approved_by", "note"))
        session.output.data(entries)
        return ExitStatus.GOOD

    return work


def _good_version(ended: Ending, run: WorkflowExecution) -> dict[str, Any]:
    return {
        "version": ended.version,
        "digest": ended.digest,
        "released": run.close_time,
        "age": age(run.close_time),
        "approved_by": ended.approvers,
        "note": "",
    }


def _before(first: Ending) -> dict[str, Any]:
    """What production ran when nothing had been released: nobody approved it here."""
    return {
        "version": first.ran_before,
        "digest": first.ran_digest,
        "released": None,
        "age": None,
        "approved_by": "",
        "note": "ran before the first release",
    }


async def _waiting(session: Session, limit: int) -> list[dict[str, Any]]:
    """Empty where the search attributes are not registered."""
    try:
        return [_entry(run) async for run in _listed(session, WAITING, limit)]
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return []
        raise


async def _listed(session: Session, query: str, limit: int) -> AsyncIterator[WorkflowExecution]:
    async for run in session.client.list_workflows(query, limit=limit):
        if run.workflow_type in names.LANE_WORKFLOWS:
            yield run


async def _told(session: Session, run: WorkflowExecution) -> dict[str, Any]:
    """A run that was refused has set no search attributes: that it was, and what was asked for, is in its history."""
    entry = _entry(run)
    if run.status is WorkflowExecutionStatus.FAILED and not entry["outcome"]:
        lane = Lane(session, entry["project"], run.id)
        with contextlib.suppress(Refusal):  # Temporal may just have forgotten it
            ended = await ending(lane, await lane.found(run.run_id))
            if ended is not None:
                return {**entry, "state": ended.outcome, "version": entry["version"] or ended.version}
    return entry


def _entry(run: WorkflowExecution) -> dict[str, Any]:
    """The search attributes where there are some, else what the workflow ID tells."""
    attributes = run.typed_search_attributes
    told = {name: plain(attributes.get(key)) or "" for name, key in _TEXTS.items()}
    running = run.status is WorkflowExecutionStatus.RUNNING
    return {
        **told,
        "project": told["project"] or run.id.removeprefix(_PREFIX),
        "kind": "rollback" if run.workflow_type == names.ROLLBACK_WORKFLOW else "release",
        "state": "running" if running else told["outcome"] or (run.status.name.lower() if run.status else ""),
        "needs_person": running and bool(attributes.get(_NEEDS)),
        "started": run.start_time,
        "ended": run.close_time,
        "workflow_id": run.id,
        "run_id": run.run_id,
    }


def _show(session: Session, entries: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    table = Table(box=None, padding=(0, 1))
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for entry in entries:
        table.add_row(
            *(_cell(entry[column]) for column in columns), style="yellow" if entry.get("needs_person") else ""
        )
    if entries:
        session.output.show(table)
    else:
        session.output.say("none")


def _cell(value: Any) -> str:
    return ("yes" if value else "") if isinstance(value, bool) else in_words(value)
