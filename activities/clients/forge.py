"""The forge as a release needs it: checks, runs, the release's page, issues; Gitea and Forgejo, by their API alone."""

import time
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from activities.clients import forge_issue, forge_jobs, forge_release, forge_runs
from activities.clients.forge_call import ForgeCall
from activities.clients.forge_issue import Note
from activities.clients.forge_json import text
from activities.clients.forge_product import Product, detect
from activities.clients.forge_release import Published, Release
from activities.clients.forge_runs import Actions
from activities.clients.forge_states import Context, Job, Mark, Run, State, state_of
from runbook.project import ForgeTable, ProjectTable

__all__ = ["Context", "ForgeClient", "ForgeRepository", "Job", "Mark", "Note", "Published", "Release", "Run", "State"]

_REMEMBERED_SECONDS = 600.0


@dataclass
class _Known:
    """What was found out about one repository's forge, until it is asked again: forges are upgraded."""

    product: Product
    until: float
    actions: Actions | None = None
    committed: dict[str, datetime] = field(default_factory=dict[str, datetime])


class ForgeClient:
    """`http` follows no redirects and tries nothing twice."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._known: dict[str, _Known] = {}

    async def repository(self, project: ProjectTable, forge: ForgeTable) -> "ForgeRepository":
        """The project's repository there.

        Raises:
            Refused: no forge we know, or one too old.
            Unreachable: it did not answer.
        """
        call = ForgeCall(self._http, project, forge)
        key = call.server + call.repo
        known = self._known.get(key)
        if known is None or known.until < time.monotonic():
            known = _Known(await detect(call), time.monotonic() + _REMEMBERED_SECONDS)
            self._known[key] = known
        return ForgeRepository(call, known)


class ForgeRepository:
    """Every method raises Refused and Unreachable as `ForgeCall.ask` does."""

    def __init__(self, call: ForgeCall, known: _Known) -> None:
        self._call = call
        self._known = known

    @property
    def product(self) -> Product:
        return self._known.product

    @property
    def page(self) -> str:
        """The address of the repository's page, for people."""
        return self._call.server + self._call.repo.removeprefix("/repos")

    async def contexts(self, commit: str) -> list[Context]:
        """The newest status of every context of the commit, from all pages; `commit` is the full id."""
        found = await self._call.listed(f"{self._call.repo}/commits/{commit}/status", "statuses")
        return [
            Context(text(item, "context"), state_of(text(item, "status", "state")), text(item, "target_url"))
            for item in found
        ]

    async def runs(self, commit: str, *, tag: str = "", workflow: str = "") -> list[Run]:
        """Every run on the commit, newest first. With `tag` and `workflow`: only those of the tag's push."""
        actions = await self._actions()
        if actions is Actions.OFF:
            return []
        if actions is Actions.BY_RUNS:
            found = await forge_runs.runs_of(self._call, commit, tag=tag, workflow=workflow)
        else:
            found = await forge_runs.runs_by_tasks(self._call, commit, await self._committed_at(commit))
        return [run for run in found if not tag or (run.is_push_of(tag) and run.workflow == workflow)]

    async def mark_of(self, run: Run) -> Mark:
        """Tells this end of the run from the end of a later re-run of it."""
        return await forge_runs.mark_of(self._call, run)

    async def jobs(self, run: Run) -> list[Job] | None:
        """The run's jobs, None where the forge does not tell."""
        return await forge_jobs.jobs_of(self._call, run)

    async def log_tail(self, job: Job) -> list[str]:
        return await forge_jobs.log_tail(self._call, job)

    async def rerun(self, run: Run) -> str:
        """Ask for the run once more; empty when the forge does it, else why not."""
        return "this forge re-runs only by hand" if run.seen is not None else await forge_jobs.rerun(self._call, run)

    async def publish(self, release: Release, commit: str) -> Published:
        return await forge_release.publish(self._call, release, commit)

    async def open_issue(self, *, marker: str, label: str, title: str, body: str, since: datetime) -> Note:
        return await forge_issue.open_issue(self._call, marker=marker, label=label, title=title, body=body, since=since)

    async def comment(self, issue: int, *, marker: str, body: str) -> Note:
        return await forge_issue.comment(self._call, issue, marker=marker, body=body)

    async def _actions(self) -> Actions:
        if self._known.actions is None:
            found = await forge_runs.actions_of(self._call)
            if found is Actions.OFF:
                return found
            self._known.actions = found
        return self._known.actions

    async def _committed_at(self, commit: str) -> datetime:
        if commit not in self._known.committed:
            self._known.committed[commit] = await forge_runs.committed_at(self._call, commit)
        return self._known.committed[commit]
