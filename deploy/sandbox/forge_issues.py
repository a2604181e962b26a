"""The API of issues, their comments, and labels."""

from typing import Any

from starlette.responses import JSONResponse, Response

from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_store import Document, now


async def list_issues(call: Call) -> Response:
    """Newest first. A label that does not exist is dropped from the filter, as the forge does it."""
    rows, query = call.forge.store.all("issue", call.repo), call.query
    state = query.get("state", "open")
    if state != "all":
        rows = [row for row in rows if row["state"] == state]
    if query.get("type") == "pulls":
        rows = []
    known = {label["name"]: label["id"] for label in call.forge.store.all("label", call.repo)}
    wanted = {known[name] for name in query.get("labels", "").split(",") if name in known}
    rows = [row for row in rows if wanted <= set(row["labels"])]
    if creator := query.get("created_by"):
        rows = [row for row in rows if row["user"] == creator]
    if text := query.get("q", "").lower():
        rows = [row for row in rows if text in f"{row['title']}\n{row['body']}".lower()]
    return call.paged([_issue(call, row) for row in reversed(rows)])


async def create_issue(call: Call) -> Response:
    body = await call.body(title="Title")
    call.need("read", "")
    labels = body.get("labels") or []
    if not all(isinstance(label, int) for label in labels):
        raise Refused(
            422, "[]: json: cannot unmarshal string into Go struct field CreateIssueOption.labels of type int64"
        )
    known = {label["id"] for label in call.forge.store.all("label", call.repo)}
    # Unknown labels, and every label of a caller who may not write, are lost without a word.
    kept = [label for label in labels if label in known] if call.may("write") else []
    stamp = now()
    row = call.forge.store.add(
        "issue",
        call.repo,
        number=len(call.forge.store.all("issue", call.repo)) + 1,
        title=body["title"],
        body=body.get("body") or "",
        labels=kept,
        state="open",
        user=_caller(call),
        created_at=stamp,
        updated_at=stamp,
        closed_at=None,
    )
    return JSONResponse(_issue(call, row), 201)


async def get_issue(call: Call) -> Response:
    return JSONResponse(_issue(call, _found(call)))


async def change_issue(call: Call) -> Response:
    body = await call.body()
    call.need("write", "user should have a permission to write to a repo")
    changes = {key: body[key] for key in ("title", "body", "state") if isinstance(body.get(key), str)}
    if "state" in changes:
        changes["closed_at"] = now() if changes["state"] == "closed" else None
    row = call.forge.store.change("issue", _found(call), **changes, updated_at=now())
    return JSONResponse(_issue(call, row), 201)


async def list_comments(call: Call) -> Response:
    """All of them: this list has no pages."""
    rows = call.forge.store.all("comment", call.repo, issue=_found(call)["number"])
    headers = {"X-Total-Count": str(len(rows))}
    return JSONResponse([_comment(call, row) for row in rows], headers=headers)


async def create_comment(call: Call) -> Response:
    body = await call.body(body="Body")
    issues = call.forge.store.all("issue", call.repo, number=call.number("index"))
    if not issues:
        # The forge takes an unknown issue for a fault of its own.
        raise Refused(500, "")
    stamp = now()
    row = call.forge.store.add(
        "comment",
        call.repo,
        issue=issues[0]["number"],
        body=body["body"],
        user=_caller(call),
        created_at=stamp,
        updated_at=stamp,
    )
    return JSONResponse(_comment(call, row), 201)


async def change_comment(call: Call) -> Response:
    body = await call.body(body="Body")
    row = call.forge.store.get("comment", call.repo, call.number("id"))
    if row is None:
        raise not_found()
    if row["user"] != _caller(call) and not call.may("admin"):
        raise Refused(403, "user should have specific read permission or be a repo admin or a site admin")
    changed = call.forge.store.change("comment", row, body=body["body"], updated_at=now())
    return JSONResponse(_comment(call, changed))


async def list_labels(call: Call) -> Response:
    return call.paged([_label(call, row) for row in call.forge.store.all("label", call.repo)])


async def create_label(call: Call) -> Response:
    body = await call.body(name="Name", color="Color")
    call.need("write", "user should have a permission to write to a repo")
    color = str(body["color"]).removeprefix("#")
    row = call.forge.store.add(
        "label", call.repo, name=body["name"], color=color, description=body.get("description") or ""
    )
    return JSONResponse(_label(call, row), 201)


def _caller(call: Call) -> str:
    return call.account.user if call.account else ""


def _found(call: Call) -> Document:
    rows = call.forge.store.all("issue", call.repo, number=call.number("index"))
    if not rows:
        raise not_found(f"issue does not exist [id: 0, repo_id: 1, index: {call.path['index']}]")
    return rows[0]


def _issue(call: Call, row: Document) -> dict[str, Any]:
    labels = call.forge.store.all("label", call.repo)
    shown = {key: value for key, value in row.items() if key != "repo"}
    owner, name = call.repository.owner, call.repository.name
    return {
        **shown,
        "user": shapes.user(call, row["user"]),
        "labels": [_label(call, label) for label in labels if label["id"] in row["labels"]],
        "comments": len(call.forge.store.all("comment", call.repo, issue=row["number"])),
        "url": call.url(f"/issues/{row['number']}"),
        "html_url": f"{call.base}/{call.repo}/issues/{row['number']}",
        "repository": {"id": 1, "name": name, "owner": owner, "full_name": call.repo},
        "milestone": None,
        "assignee": None,
        "assignees": None,
        "due_date": None,
        "pull_request": None,
        "is_locked": False,
    }


def _comment(call: Call, row: Document) -> dict[str, Any]:
    issue_url = f"{call.base}/{call.repo}/issues/{row['issue']}"
    return {
        "id": row["id"],
        "body": row["body"],
        "user": shapes.user(call, row["user"]),
        "html_url": f"{issue_url}#issuecomment-{row['id']}",
        "issue_url": issue_url,
        "pull_request_url": "",
        "assets": [],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _label(call: Call, row: Document) -> dict[str, Any]:
    shown = {key: value for key, value in row.items() if key != "repo"}
    return {**shown, "exclusive": False, "is_archived": False, "url": call.url(f"/labels/{row['id']}")}


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/issues", list_issues),
    ("POST", "/issues", create_issue),
    ("PATCH", "/issues/comments/{id}", change_comment),
    ("GET", "/issues/{index}", get_issue),
    ("PATCH", "/issues/{index}", change_issue),
    ("GET", "/issues/{index}/comments", list_comments),
    ("POST", "/issues/{index}/comments", create_comment),
    ("GET", "/labels", list_labels),
    ("POST", "/labels", create_label),
]
