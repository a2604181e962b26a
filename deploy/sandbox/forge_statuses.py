"""The API of commit statuses, with what each flavour makes of a ref and of several states."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_store import Document, now

STATES = ("pending", "success", "error", "failure", "warning")
WORST_FIRST = ("error", "failure", "warning", "pending", "success")


async def create_status(call: Call) -> Response:
    body = await call.body()
    call.need("write", "user should have a permission to write to a repo")
    if body.get("state") not in STATES:
        raise Refused(422, "[State]: In")
    sha = await call.repository.commit_of(call.path["sha"])
    if sha is None:
        # The forge takes an unknown commit for a fault of its own.
        raise Refused(500, "")
    stamp = now()
    status = call.forge.store.add(
        "status",
        call.repo,
        sha=sha,
        status=body["state"],
        context=body.get("context") or "default",
        description=body.get("description") or "",
        target_url=body.get("target_url") or "",
        creator=call.account.user if call.account else "",
        created_at=stamp,
        updated_at=stamp,
    )
    return JSONResponse(_status(call, status), 201)


async def list_statuses(call: Call) -> Response:
    sha = await _target(call, call.path["ref"])
    rows = call.forge.store.all("status", call.repo, sha=sha)
    return call.paged([_status(call, row) for row in reversed(rows)])


async def combined(call: Call) -> Response:
    """The newest status of every context; the state is of the page shown alone, as the forge does it."""
    sha = await _target(call, call.path["ref"])
    newest = {row["context"]: row for row in call.forge.store.all("status", call.repo, sha=sha)}
    shown, headers = call.page([_status(call, row) for row in newest.values()])
    return JSONResponse(_combined(call, sha, shown), headers=headers)


def _combined(call: Call, sha: str, shown: Sequence[dict[str, Any]]) -> dict[str, Any]:
    modern = call.forge.traits.exact_refs
    if not shown:
        none = {"total_count": 0, "statuses": None, "repository": None, "commit_url": "", "url": ""}
        return {"state": "pending" if modern else "", "sha": sha if modern else "", **none}
    states = {status["status"] for status in shown}
    return {
        "state": _modern_state(states) if modern else _worst_state(states),
        "sha": sha,
        "total_count": len(shown),
        "statuses": shown,
        "repository": shapes.repository(call),
        "commit_url": call.url(f"/commits/{sha}"),
        "url": call.url(f"/commits/{sha}/status"),
    }


def _modern_state(states: set[str]) -> str:
    if states & {"error", "failure", "warning"}:
        return "failure"
    return "success" if states <= {"success", "skipped"} else "pending"


def _worst_state(states: set[str]) -> str:
    worst = next(state for state in WORST_FIRST if state in states)
    return "failure" if worst == "error" else worst


async def _target(call: Call, ref: str) -> str:
    """The commit of a ref. Older forges take the first ref that begins like it, unpeeled, and know no 404."""
    repository = call.repository
    full = await repository.resolve(ref) if len(ref) == 40 else None
    if full:
        return full
    if call.forge.traits.exact_refs:
        sha = await repository.commit_of(ref)
        if sha is None:
            raise not_found(f"object does not exist [id: {ref}, rel_path: ]")
        return sha
    for prefix in ("refs/heads/", "refs/tags/"):
        for found in await repository.refs(prefix):
            if found.name.startswith(prefix + ref):
                return found.sha
    return ref


def _status(call: Call, row: Document) -> dict[str, Any]:
    shown = {key: value for key, value in row.items() if key not in {"repo", "sha"}}
    creator = shapes.user(call, row["creator"]) if row["creator"] else None
    return {**shown, "url": call.url(f"/statuses/{row['sha']}"), "creator": creator}


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/statuses/{sha}", create_status),
    ("GET", "/commits/{ref:path}/status", combined),
    ("GET", "/commits/{ref:path}/statuses", list_statuses),
]
