"""The API of runs, jobs and tasks, in Gitea's words or in Forgejo's."""

from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from deploy.sandbox.forge_actions_shapes import (
    GITEA_STATUS,
    action_task,
    forgejo_run,
    gitea_conclusion,
    gitea_job,
    gitea_run,
    gitea_status,
)
from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_flavours import Traits
from deploy.sandbox.forge_store import Document

WRITE = "user should have specific write permission or be a repo admin or a site admin"
DONE = {"success", "failure", "cancelled", "skipped"}
RAW = DONE | {"unknown", "waiting", "running", "blocked"}


async def list_tasks(call: Call) -> Response:
    rows = [action_task(call, row) for row in call.forge.store.all("task", call.repo)]
    return _list(call, "workflow_runs", rows[::-1])


async def list_runs(call: Call) -> Response:
    forgejo = call.forge.traits.runs == "forgejo"
    rows = _forgejo_filtered(call) if forgejo else _gitea_filtered(call)
    shape = forgejo_run if forgejo else gitea_run
    return _list(call, "workflow_runs", [shape(call, row) for row in reversed(rows)])


async def get_run(call: Call) -> Response:
    shape = forgejo_run if call.forge.traits.runs == "forgejo" else gitea_run
    return JSONResponse(shape(call, _run(call)))


async def list_jobs(call: Call) -> Response:
    run = _run(call)
    rows = [gitea_job(call, run, job) for job in call.forge.store.all("job", call.repo, run_id=run["id"])]
    return _list(call, "jobs", rows)


async def get_job(call: Call) -> Response:
    job = _job(call)
    run = call.forge.store.get("run", call.repo, job["run_id"])
    if run is None:
        raise not_found()
    return JSONResponse(gitea_job(call, run, job))


async def get_logs(call: Call) -> Response:
    job = _job(call)
    if not job["started"]:
        raise not_found("job not started")
    name = f"{job['name']}-{job['id']}.log"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(job["log"], media_type="text/plain; charset=utf-8", headers=headers)


async def rerun(call: Call) -> Response:
    run = _finished(call)
    call.forge.pipeline.rerun(run)
    return JSONResponse(gitea_run(call, run), 201)


async def rerun_failed(call: Call) -> Response:
    """201 without a body, also where nothing failed and nothing happens."""
    call.forge.pipeline.rerun(_finished(call), failed_only=True)
    return Response(status_code=201)


async def dispatch(call: Call) -> Response:
    """Starts the workflow by hand on a ref; here tags alone have one."""
    body = await call.body(ref="Ref")
    call.need("write", WRITE)
    name = str(body["ref"]).removeprefix("refs/tags/")
    ref = await call.repository.ref(f"refs/tags/{name}")
    if ref is None:
        raise not_found(f"ref does not exist: {name}")
    await call.forge.pipeline.pushed(call.repository, ref.name, ref.commit, "workflow_dispatch")
    return Response(status_code=204)


def _gitea_filtered(call: Call) -> list[Document]:
    rows, query = call.forge.store.all("run", call.repo), call.query
    if event := query.get("event"):
        rows = [row for row in rows if row["event"] == event]
    if sha := query.get("head_sha"):
        rows = [row for row in rows if row["sha"] == sha]
    if branch := query.get("branch"):
        # It means refs/heads/ and nothing else: a tag is never found by it.
        rows = [row for row in rows if row["ref"] == f"refs/heads/{branch}"]
    if status := query.get("status"):
        if status not in GITEA_STATUS:
            raise Refused(400, f"Invalid status {status}")
        rows = [row for row in rows if status in {gitea_status(row), gitea_conclusion(row)}]
    return rows


def _forgejo_filtered(call: Call) -> list[Document]:
    rows, query = call.forge.store.all("run", call.repo), call.request.query_params
    statuses = query.getlist("status")
    if unknown := next((status for status in statuses if status not in RAW), None):
        raise Refused(400, f"unknown status: {unknown}")
    kept: list[tuple[list[str], Callable[[Document], str]]] = [
        (statuses, lambda row: row["status"]),
        (query.getlist("event"), lambda row: row["event"]),
        (query.getlist("head_sha"), lambda row: row["sha"]),
        (query.getlist("ref"), lambda row: row["ref"]),
        (query.getlist("workflow_id"), lambda row: row["workflow"]),
        (query.getlist("run_number"), lambda row: str(row["index"])),
    ]
    return [row for row in rows if all(not wanted or of(row) in wanted for wanted, of in kept)]


def _list(call: Call, key: str, rows: list[dict[str, Any]]) -> Response:
    shown, headers = call.page(rows)
    if not call.forge.traits.list_headers_on_actions:
        headers = {}
    return JSONResponse({key: shown, "total_count": len(rows)}, headers=headers)


def _run(call: Call) -> Document:
    run = call.forge.store.get("run", call.repo, call.number("run"))
    if run is None:
        raise not_found()
    return run


def _job(call: Call) -> Document:
    job = call.forge.store.get("job", call.repo, call.number("job"))
    if job is None:
        raise not_found()
    return job


def _finished(call: Call) -> Document:
    call.need("write", WRITE)
    run = _run(call)
    if run["status"] not in DONE:
        raise Refused(400, "this workflow run is not done")
    return run


def routes(traits: Traits) -> list[tuple[str, str, Handler]]:
    """What this flavour has; the rest is 404 there."""
    table: list[tuple[str, str, Handler]] = [("GET", "/actions/tasks", list_tasks)]
    if traits.runs != "none":
        table += [("GET", "/actions/runs", list_runs), ("GET", "/actions/runs/{run}", get_run)]
    if traits.jobs:
        table += [
            ("GET", "/actions/runs/{run}/jobs", list_jobs),
            ("GET", "/actions/jobs/{job}", get_job),
            ("GET", "/actions/jobs/{job}/logs", get_logs),
        ]
    if traits.rerun:
        table += [
            ("POST", "/actions/runs/{run}/rerun", rerun),
            ("POST", "/actions/runs/{run}/rerun-failed-jobs", rerun_failed),
        ]
    if traits.dispatch:
        table += [("POST", "/actions/workflows/{file}/dispatches", dispatch)]
    return table
