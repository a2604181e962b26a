"""Runs, jobs and contexts in one vocabulary, whichever forge told of them."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from activities.clients.forge_json import Row, row, text, whole


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def done(self) -> bool:
        return self not in {State.WAITING, State.RUNNING}

    @property
    def broken(self) -> bool:
        return self in {State.FAILURE, State.CANCELLED}


# Forgejo and the tasks say the raw words, Gitea's runs and jobs those of GitHub.
_STATES = {
    **dict.fromkeys(("waiting", "blocked", "queued", "pending", "requested", "action_required"), State.WAITING),
    **dict.fromkeys(("running", "in_progress", "cancelling"), State.RUNNING),
    **dict.fromkeys(("success", "neutral"), State.SUCCESS),
    **dict.fromkeys(("failure", "error", "warning", "timed_out"), State.FAILURE),
    "cancelled": State.CANCELLED,
    "skipped": State.SKIPPED,
}


def state_of(status: str, conclusion: str = "") -> State:
    """An ending nobody knows is a failure; anything else unknown is still under way."""
    if status == "completed":
        return _STATES.get(conclusion, State.FAILURE)
    return _STATES.get(status, State.WAITING)


@dataclass(frozen=True)
class Context:
    """A status context of a commit."""

    name: str
    state: State
    url: str


@dataclass(frozen=True)
class Job:
    """`id` is the job's own where the forge tells it, else the task's."""

    id: int
    name: str
    state: State
    url: str


@dataclass(frozen=True)
class Mark:
    """Tells one end of a run from its next: times are whole seconds, so the newest task (0: not known) decides as well."""

    end: str
    task: int

    def __str__(self) -> str:
        return f"{self.end}#{self.task}"

    def same_as(self, written: str) -> bool:
        """Whether the mark that was written down is of this same end; an old task may no longer be known."""
        end, _, task = written.rpartition("#")
        return end == self.end and (task == str(self.task) or "0" in {task, str(self.task)})


@dataclass(frozen=True)
class Run:
    """A run of a workflow. `ref` is `refs/…`, or the bare name where the forge tells no more.

    `seen` holds the jobs that runners took, for a forge that tells of jobs and not of runs: then `state` speaks of
    those only, and `id` is the run's number.
    """

    id: int
    number: int
    url: str
    workflow: str
    event: str
    ref: str
    commit: str
    state: State
    end: str = ""
    seen: tuple[Job, ...] | None = None

    def is_push_of(self, tag: str) -> bool:
        return self.event == "push" and self.ref in {f"refs/tags/{tag}", tag}

    def owns(self, url: str) -> bool:
        """Whether the address (of a status, whole or without the server) is one of this run's pages."""
        mine, other = _page(self.url), _page(url)
        return bool(mine) and mine == other


def run_of(item: Row) -> Run:
    """A row of actions/runs, of Gitea or of Forgejo."""
    return _forgejo_run(item) if "commit_sha" in item or "prettyref" in item else _gitea_run(item)


def job_of(item: Row, url: str) -> Job:
    return Job(
        id=whole(item, "id"),
        name=text(item, "name"),
        state=state_of(text(item, "status"), text(item, "conclusion")),
        url=text(item, "html_url") or url,
    )


def _gitea_run(item: Row) -> Run:
    # For a tag there is no head_branch; the ref is behind the file's name.
    file, _, ref = text(item, "path").partition("@")
    return Run(
        id=whole(item, "id"),
        number=whole(item, "run_number"),
        url=text(item, "html_url"),
        workflow=file.rpartition("/")[2],
        event=text(item, "event"),
        ref=ref or text(item, "head_branch"),
        commit=text(item, "head_sha"),
        state=state_of(text(item, "status"), text(item, "conclusion")),
        end="/".join([str(whole(item, "run_attempt")), text(item, "started_at"), text(item, "completed_at")]),
    )


def _forgejo_run(item: Row) -> Run:
    return Run(
        id=whole(item, "id"),
        number=whole(item, "index_in_repo"),
        url=text(item, "html_url"),
        workflow=text(item, "workflow_id"),
        event=text(item, "trigger_event", "event"),
        ref=_pushed_ref(text(item, "event_payload")) or text(item, "prettyref"),
        commit=text(item, "commit_sha"),
        state=state_of(text(item, "status")),
        end="/".join([text(item, "started"), text(item, "stopped")]),
    )


def _pushed_ref(payload: str) -> str:
    try:
        ref = text(row(json.loads(payload)), "ref")
    except ValueError:
        return ""
    return ref if ref.startswith("refs/") else ""


def _page(url: str) -> str:
    found = re.search(r"([^/]+/[^/]+/actions/runs/\d+)(?:/|$)", url.partition("?")[0].lower())
    return found[1] if found else ""
