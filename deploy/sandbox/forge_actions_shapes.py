"""The JSON of runs, jobs and tasks: the same run is told differently by Gitea and by Forgejo."""

from typing import Any

from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.forge_call import Call
from deploy.sandbox.forge_store import Document

DONE = {"success", "failure", "cancelled", "skipped"}
UNDER_WAY = {"waiting": "queued", "blocked": "waiting", "running": "in_progress"}
GITEA_STATUS = DONE | {
    "pending",
    "waiting",
    "requested",
    "action_required",
    "queued",
    "in_progress",
    "completed",
    "neutral",
    "timed_out",
}
Shape = dict[str, Any]


def gitea_status(row: Document) -> str:
    return "completed" if row["status"] in DONE else UNDER_WAY.get(row["status"], "queued")


def gitea_conclusion(row: Document) -> str:
    return row["status"] if row["status"] in DONE else ""


def action_task(call: Call, row: Document) -> Shape:
    """A row for each attempt of a job that a runner took; `head_branch` is the bare name of branch or tag."""
    return {
        "id": row["id"],
        "name": row["name"],
        "head_branch": _short(row["ref"]),
        "head_sha": row["sha"],
        "run_number": row["index"],
        "event": row["event"],
        "display_title": row["title"],
        "status": row["status"],
        "workflow_id": row["workflow"],
        "url": f"{call.base}/{call.repo}/actions/runs/{row['index']}",
        "created_at": row["created"],
        "updated_at": row["updated"],
        "run_started_at": row["created"],
    }


def gitea_run(call: Call, row: Document) -> Shape:
    """For a tag there is no head_branch: the ref is in `path` alone."""
    person = shapes.user(call, row["user"])
    return {
        "id": row["id"],
        "run_number": row["index"],
        "run_attempt": 0,
        "event": row["event"],
        "display_title": row["title"],
        "path": f"{row['workflow']}@{row['ref']}",
        "head_sha": row["sha"],
        **_branch(row["ref"]),
        "status": gitea_status(row),
        **_conclusion(row),
        "started_at": row["started"] or "1970-01-01T00:00:00Z",
        "completed_at": row["stopped"] or "1970-01-01T00:00:00Z",
        "url": call.url(f"/actions/runs/{row['id']}"),
        "html_url": f"{call.base}/{call.repo}/actions/runs/{row['id']}",
        "actor": person,
        "trigger_actor": person,
        "repository": shapes.repository(call),
    }


def gitea_job(call: Call, run: Document, job: Document) -> Shape:
    status, started, stopped = gitea_status(job), job["started"], job["stopped"]
    step = {"name": f"Run {job['name']}", "number": 1, "status": status, **_conclusion(job)}
    return {
        "id": job["id"],
        "run_id": run["id"],
        "name": job["name"],
        "status": status,
        **_conclusion(job),
        "head_sha": run["sha"],
        **_branch(run["ref"]),
        "labels": ["ubuntu-latest"],
        "runner_id": 1 if started else 0,
        "runner_name": "sandbox" if started else "",
        "run_attempt": 0,
        "steps": [step] if started else [],
        "created_at": job["created"],
        "started_at": started or "1970-01-01T00:00:00Z",
        "completed_at": stopped or "1970-01-01T00:00:00Z",
        "url": call.url(f"/actions/jobs/{job['id']}"),
        "run_url": call.url(f"/actions/runs/{run['id']}"),
        "html_url": f"{call.base}/{call.repo}/actions/runs/{run['id']}/jobs/{job['id']}",
    }


def forgejo_run(call: Call, row: Document) -> Shape:
    return {
        "id": row["id"],
        "title": row["title"],
        "repository": shapes.repository(call),
        "workflow_id": row["workflow"],
        "index_in_repo": row["index"],
        "trigger_user": shapes.user(call, row["user"]),
        "ScheduleID": 0,
        "approved_by": 0,
        "prettyref": _short(row["ref"]),
        "is_ref_deleted": False,
        "commit_sha": row["sha"],
        "is_fork_pull_request": False,
        "need_approval": False,
        "event": row["event"],
        "event_payload": f'{{"ref":"{row["ref"]}"}}',
        "trigger_event": row["event"],
        "status": row["status"],
        "started": row["started"] or shapes.ZERO_TIME,
        "stopped": row["stopped"] or shapes.ZERO_TIME,
        "created": row["created"],
        "updated": row["updated"],
        "duration": 0,
        "html_url": f"{call.base}/{call.repo}/actions/runs/{row['index']}",
    }


def _conclusion(row: Document) -> Shape:
    conclusion = gitea_conclusion(row)
    return {"conclusion": conclusion} if conclusion else {}


def _branch(ref: str) -> Shape:
    return {"head_branch": _short(ref)} if ref.startswith("refs/heads/") else {}


def _short(ref: str) -> str:
    return ref.removeprefix("refs/tags/").removeprefix("refs/heads/")
