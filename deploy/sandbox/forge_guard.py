"""The API of branch and tag protections; the git hook enforces them."""

import re
from fnmatch import fnmatchcase

from starlette.responses import JSONResponse, Response

from deploy.sandbox.forge_call import Call, Handler, Refused, not_found
from deploy.sandbox.forge_store import Document, now

ADMIN = "user should be an owner or a collaborator with admin write of a repository"


def protected_tag(call: Call, name: str) -> bool:
    """Whether the caller may not make or remove this tag."""
    rules = call.forge.store.all("tag_protection", call.repo)
    allowed = call.account.user if call.account else ""
    return any(_matches(rule["name_pattern"], name) and allowed not in rule["whitelist_usernames"] for rule in rules)


async def list_branch_rules(call: Call) -> Response:
    call.need("admin", ADMIN)
    return JSONResponse([_shown(rule) for rule in call.forge.store.all("branch_protection", call.repo)])


async def create_branch_rule(call: Call) -> Response:
    call.need("admin", ADMIN)
    body = await call.body()
    name = body.get("rule_name") or body.get("branch_name") or ""
    if call.forge.store.all("branch_protection", call.repo, rule_name=name):
        raise Refused(403, "Branch protection already exist")
    stamp = now()
    rule = call.forge.store.add(
        "branch_protection",
        call.repo,
        rule_name=name,
        branch_name=name,
        enable_push=bool(body.get("enable_push")),
        enable_push_whitelist=bool(body.get("push_whitelist_usernames")),
        push_whitelist_usernames=body.get("push_whitelist_usernames") or [],
        required_approvals=0,
        created_at=stamp,
        updated_at=stamp,
    )
    call.forge.protect(call.repository)
    return JSONResponse(_shown(rule), 201)


async def get_branch_rule(call: Call) -> Response:
    call.need("admin", ADMIN)
    return JSONResponse(_shown(_rule(call)))


async def delete_branch_rule(call: Call) -> Response:
    call.need("admin", ADMIN)
    call.forge.store.remove("branch_protection", _rule(call))
    call.forge.protect(call.repository)
    return Response(status_code=204)


async def list_tag_rules(call: Call) -> Response:
    call.need("admin", ADMIN)
    return JSONResponse([_tag_rule(rule) for rule in call.forge.store.all("tag_protection", call.repo)])


async def create_tag_rule(call: Call) -> Response:
    call.need("admin", ADMIN)
    body = await call.body()
    stamp = now()
    rule = call.forge.store.add(
        "tag_protection",
        call.repo,
        name_pattern=body.get("name_pattern", ""),
        whitelist_usernames=body.get("whitelist_usernames") or [],
        whitelist_teams=[],
        created_at=stamp,
        updated_at=stamp,
    )
    call.forge.protect(call.repository)
    return JSONResponse(_tag_rule(rule), 201)


async def delete_tag_rule(call: Call) -> Response:
    call.need("admin", ADMIN)
    rule = call.forge.store.get("tag_protection", call.repo, call.number("id"))
    if rule is None:
        raise not_found()
    call.forge.store.remove("tag_protection", rule)
    call.forge.protect(call.repository)
    return Response(status_code=204)


def _rule(call: Call) -> Document:
    rules = call.forge.store.all("branch_protection", call.repo, rule_name=call.path["name"])
    if not rules:
        raise not_found()
    return rules[0]


def _shown(rule: Document) -> Document:
    return {key: value for key, value in rule.items() if key not in {"id", "repo"}}


def _tag_rule(rule: Document) -> Document:
    return {key: value for key, value in rule.items() if key != "repo"}


def _matches(pattern: str, name: str) -> bool:
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        return re.search(pattern[1:-1], name) is not None
    return fnmatchcase(name, pattern)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/branch_protections", list_branch_rules),
    ("POST", "/branch_protections", create_branch_rule),
    ("GET", "/branch_protections/{name}", get_branch_rule),
    ("DELETE", "/branch_protections/{name}", delete_branch_rule),
    ("GET", "/tag_protections", list_tag_rules),
    ("POST", "/tag_protections", create_tag_rule),
    ("DELETE", "/tag_protections/{id}", delete_tag_rule),
]
