"""The API of branches, tags and git refs."""

from starlette.responses import JSONResponse, Response

from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_git import Ref
from deploy.sandbox.forge_guard import protected_tag

WRITE = "user should have a permission to write to a repo"


async def list_branches(call: Call) -> Response:
    return call.paged([await _branch(call, ref) for ref in await call.repository.refs("refs/heads/")])


async def get_branch(call: Call) -> Response:
    ref = await call.repository.ref(f"refs/heads/{call.path['branch']}")
    if ref is None:
        raise not_found(f"branch does not exist [name: {call.path['branch']}]")
    return JSONResponse(await _branch(call, ref))


async def list_tags(call: Call) -> Response:
    refs = await call.repository.refs("refs/tags/")
    return call.paged([await _tag(call, ref) for ref in reversed(refs)])


async def get_tag(call: Call) -> Response:
    name = call.path["tag"]
    ref = await call.repository.ref(f"refs/tags/{name}")
    if ref is None:
        raise not_found(f"tag doesn't exist: {name}" if call.forge.traits.exact_refs else name)
    return JSONResponse(await _tag(call, ref))


async def create_tag(call: Call) -> Response:
    body = await call.body(tag_name="TagName")
    call.need("write", WRITE)
    repository, name = call.repository, body["tag_name"]
    target = await repository.commit_of(body.get("target") or "main")
    if target is None:
        raise not_found(f"target not found: {body.get('target')}")
    if await repository.ref(f"refs/tags/{name}"):
        raise Refused(409, f"tag already exists [name: {name}]")
    if protected_tag(call, name):
        raise Refused(422, "user not allowed to create protected tag")
    await repository.create_tag(name, target, body.get("message") or "")
    await call.forge.pipeline.pushed(repository, f"refs/tags/{name}", target)
    made = await repository.ref(f"refs/tags/{name}")
    if made is None:
        raise Refused(500, "")
    return JSONResponse(await _tag(call, made), 201)


async def delete_tag(call: Call) -> Response:
    call.need("write", WRITE)
    name = call.path["tag"]
    if await call.repository.ref(f"refs/tags/{name}") is None:
        raise not_found(name)
    if call.forge.store.all("release", call.repo, tag_name=name):
        raise Refused(409, "a tag attached to a release cannot be deleted directly")
    if protected_tag(call, name):
        raise Refused(422, "user not allowed to delete protected tag")
    await call.repository.delete_ref(f"refs/tags/{name}")
    return Response(status_code=204)


async def get_tag_object(call: Call) -> Response:
    """An annotated tag by the sha of its own object; 400 for the sha of a commit."""
    sha = call.path["sha"]
    ref = next((ref for ref in await call.repository.refs("refs/tags/") if ref.sha == sha), None)
    if ref is None or ref.kind != "tag":
        raise Refused(400 if ref or await call.repository.commit_of(sha) else 404, f"object does not exist [id: {sha}]")
    commit = await call.repository.commit(ref.commit)
    return JSONResponse(
        {
            "tag": ref.name.removeprefix("refs/tags/"),
            "sha": ref.sha,
            "url": call.url(f"/git/tags/{ref.sha}"),
            "message": await call.repository.tag_message(ref),
            "tagger": {"name": commit.author, "email": commit.email, "date": commit.date},
            "object": {"type": "commit", "sha": ref.commit, "url": call.url(f"/git/commits/{ref.commit}")},
            "verification": {"verified": False, "reason": "gpg.error.not_signed_commit"},
        }
    )


async def list_refs(call: Call) -> Response:
    """Every ref whose name begins like this: v1.2 also lists v1.2.1, as the forge does it."""
    prefix = f"refs/{call.path.get('ref', '')}"
    found = [ref for ref in await call.repository.refs("refs/") if ref.name.startswith(prefix)]
    if not found:
        raise not_found()
    return call.paged([shapes.reference(call, ref) for ref in found])


async def _branch(call: Call, ref: Ref) -> shapes.Shape:
    name = ref.name.removeprefix("refs/heads/")
    rules = [rule["rule_name"] for rule in call.forge.store.all("branch_protection", call.repo)]
    return {
        "name": name,
        "commit": shapes.payload_commit(call, await call.repository.commit(ref.commit)),
        "protected": name in rules,
        "required_approvals": 0,
        "enable_status_check": False,
        "status_check_contexts": [],
        "user_can_push": call.may("write") and name not in rules,
        "user_can_merge": call.may("write") and name not in rules,
        "effective_branch_protection_name": name if name in rules and call.may("admin") else "",
    }


async def _tag(call: Call, ref: Ref) -> shapes.Shape:
    commit = await call.repository.commit(ref.commit)
    return shapes.tag(call, ref, await call.repository.tag_message(ref), commit.date)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/branches", list_branches),
    ("GET", "/branches/{branch:path}", get_branch),
    ("GET", "/tags", list_tags),
    ("POST", "/tags", create_tag),
    ("GET", "/tags/{tag:path}", get_tag),
    ("DELETE", "/tags/{tag:path}", delete_tag),
    ("GET", "/git/tags/{sha}", get_tag_object),
    ("GET", "/git/refs", list_refs),
    ("GET", "/git/refs/{ref:path}", list_refs),
]
