"""The API of releases, with the trap of a tag that comes into being by itself."""

from typing import Any

from starlette.responses import JSONResponse, Response

from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_guard import protected_tag
from deploy.sandbox.forge_store import Document, now

WRITE = "user should have a permission to write to a repo"
FIELDS = ("tag_name", "target_commitish", "name", "body")
SWITCHES = ("draft", "prerelease")


async def list_releases(call: Call) -> Response:
    rows = [row for row in _all(call) if not row["draft"] or call.may("write")]
    return call.paged([_release(call, row) for row in reversed(rows)])


async def create_release(call: Call) -> Response:
    body = await call.body(tag_name="TagName")
    call.need("write", WRITE)
    await _ensure_tag(call, body["tag_name"], body.get("target_commitish") or "")
    # From here on without a pause, so that of two callers one is refused.
    if _by_tag(call, body["tag_name"]) is not None:
        newer = call.forge.traits.runs == "forgejo"
        raise Refused(409, "Release has no Tag" if newer else "Release is has no Tag")
    stamp = now()
    texts = {key: body.get(key) or "" for key in FIELDS}
    switches = {key: bool(body.get(key)) for key in SWITCHES}
    author = call.account.user if call.account else ""
    row = call.forge.store.add(
        "release", call.repo, **texts, **switches, author=author, created_at=stamp, published_at=stamp
    )
    return JSONResponse(_release(call, row), 201)


async def get_release(call: Call) -> Response:
    return JSONResponse(_release(call, _found(call)))


async def get_by_tag(call: Call) -> Response:
    row = _by_tag(call, call.path["tag"])
    if row is None or (row["draft"] and not call.may("write")):
        raise not_found()
    return JSONResponse(_release(call, row))


async def change_release(call: Call) -> Response:
    """Empty strings change nothing; another tag name makes that tag."""
    body = await call.body()
    call.need("write", WRITE)
    row = _found(call)
    changes: dict[str, Any] = {key: body[key] for key in FIELDS if body.get(key)}
    changes |= {key: body[key] for key in SWITCHES if isinstance(body.get(key), bool)}
    if "tag_name" in changes:
        await _ensure_tag(call, changes["tag_name"], changes.get("target_commitish", ""))
    return JSONResponse(_release(call, call.forge.store.change("release", row, **changes)))


async def delete_release(call: Call) -> Response:
    call.need("write", WRITE)
    call.forge.store.remove("release", _found(call))
    return Response(status_code=204)


async def _ensure_tag(call: Call, tag: str, target: str) -> None:
    repository = call.repository
    if await repository.ref(f"refs/tags/{tag}") is not None:
        return
    if await repository.commit_of("main") is None:
        raise Refused(422, "repo is empty")
    commit = await repository.commit_of(target or "main")
    if commit is None:
        raise not_found(f'target "{target}" not found: object does not exist')
    if protected_tag(call, tag):
        raise Refused(422, f"release tag name is protected [tag_name: {tag}]")
    await repository.create_tag(tag, commit)
    await call.forge.pipeline.pushed(repository, f"refs/tags/{tag}", commit)


def _all(call: Call) -> list[Document]:
    return call.forge.store.all("release", call.repo)


def _by_tag(call: Call, tag: str) -> Document | None:
    return next((row for row in _all(call) if row["tag_name"].lower() == tag.lower()), None)


def _found(call: Call) -> Document:
    row = call.forge.store.get("release", call.repo, call.number("id"))
    if row is None:
        raise not_found()
    return row


def _release(call: Call, row: Document) -> dict[str, Any]:
    shown = {key: value for key, value in row.items() if key != "repo"}
    html = f"{call.base}/{call.repo}"
    return {
        **shown,
        "author": shapes.user(call, row["author"]) if row["author"] else None,
        "url": call.url(f"/releases/{row['id']}"),
        "html_url": f"{html}/releases/tag/{row['tag_name']}",
        "tarball_url": f"{html}/archive/{row['tag_name']}.tar.gz",
        "zipball_url": f"{html}/archive/{row['tag_name']}.zip",
        "upload_url": call.url(f"/releases/{row['id']}/assets"),
        "assets": [],
    }


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/releases", list_releases),
    ("POST", "/releases", create_release),
    ("GET", "/releases/tags/{tag:path}", get_by_tag),
    ("GET", "/releases/{id}", get_release),
    ("PATCH", "/releases/{id}", change_release),
    ("DELETE", "/releases/{id}", delete_release),
]
