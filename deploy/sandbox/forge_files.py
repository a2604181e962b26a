"""The API of files at a ref: raw bytes, and contents with their metadata."""

import base64
from typing import Any

from starlette.responses import JSONResponse, Response

from deploy.sandbox.forge_call import Call, Handler, not_found


async def raw(call: Call) -> Response:
    content = await call.repository.read(await _commit(call), call.path["path"])
    if content is None:
        raise not_found()
    return Response(content, media_type="text/plain; charset=utf-8")


async def contents(call: Call) -> Response:
    """An object for a file, an array for a folder."""
    sha, path = await _commit(call), call.path.get("path", "").strip("/")
    content = await call.repository.read(sha, path) if path else None
    if content is None:
        rows = await call.repository.tree(sha, path)
        if not rows:
            raise not_found(f"object does not exist [id: , rel_path: {path}]")
        prefix = f"{path}/" if path else ""
        entries = [_entry(call, f"{prefix}{name}", kind, blob, sha) for kind, blob, name in rows]
        return JSONResponse(entries)
    folder, _, name = path.rpartition("/")
    rows = await call.repository.tree(sha, folder)
    blob = next(row[1] for row in rows if row[2] == name)
    entry = _entry(call, path, "blob", blob, sha)
    entry |= {"size": len(content), "encoding": "base64", "content": base64.b64encode(content).decode()}
    return JSONResponse(entry)


async def _commit(call: Call) -> str:
    sha = await call.repository.commit_of(call.query.get("ref") or "main")
    if sha is None:
        raise not_found(f"object does not exist [id: {call.query.get('ref', 'main')}, rel_path: ]")
    return sha


def _entry(call: Call, path: str, kind: str, blob: str, commit: str) -> dict[str, Any]:
    url = call.url(f"/contents/{path}?ref={commit}")
    html = f"{call.base}/{call.repo}/src/commit/{commit}/{path}"
    is_file = kind == "blob"
    git_url = call.url(f"/git/{'blobs' if is_file else 'trees'}/{blob}")
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": blob,
        "last_commit_sha": commit,
        "type": "file" if is_file else "dir",
        "size": 0,
        "encoding": None,
        "content": None,
        "target": None,
        "url": url,
        "html_url": html,
        "git_url": git_url,
        "download_url": f"{call.base}/{call.repo}/raw/commit/{commit}/{path}" if is_file else None,
        "submodule_git_url": None,
        "_links": {"self": url, "git": git_url, "html": html},
    }


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/raw/{path:path}", raw),
    ("GET", "/contents", contents),
    ("GET", "/contents/{path:path}", contents),
]
