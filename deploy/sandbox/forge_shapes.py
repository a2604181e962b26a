"""The forge's common JSON shapes: user, repository, commit, tag."""

from typing import Any

from deploy.sandbox.forge_call import Call
from deploy.sandbox.forge_git import Commit, Ref

ZERO_TIME = "0001-01-01T00:00:00Z"
Shape = dict[str, Any]


def user(call: Call, name: str) -> Shape:
    return {
        "id": call.forge.user_id(name),
        "login": name,
        "login_name": "",
        "full_name": "",
        "email": f"{name}@noreply.example.net",
        "avatar_url": f"{call.base}/avatars/{name}",
        "html_url": f"{call.base}/{name}",
        "is_admin": False,
        "active": True,
        "created": ZERO_TIME,
        "last_login": ZERO_TIME,
        "visibility": "public",
    }


def repository(call: Call) -> Shape:
    repo = call.repository
    return {
        "id": list(call.forge.repositories).index(repo.full_name) + 1,
        "owner": user(call, repo.owner),
        "name": repo.name,
        "full_name": repo.full_name,
        "description": "",
        "empty": False,
        "private": call.forge.settings.private,
        "fork": False,
        "archived": False,
        "default_branch": "main",
        "url": call.url(""),
        "html_url": f"{call.base}/{repo.full_name}",
        "clone_url": f"{call.base}/{repo.full_name}.git",
        "has_issues": True,
        "has_actions": True,
        "has_releases": True,
        "permissions": {"admin": call.may("admin"), "push": call.may("write"), "pull": call.may("read")},
    }


def payload_commit(call: Call, commit: Commit) -> Shape:
    """The commit inside a branch; the nulls are the forge's own."""
    person = {"name": commit.author, "email": commit.email, "username": ""}
    return {
        "id": commit.sha,
        "message": commit.message,
        "url": f"{call.base}/{call.repo}/commit/{commit.sha}",
        "author": person,
        "committer": person,
        "verification": None,
        "timestamp": commit.date,
        "added": None,
        "removed": None,
        "modified": None,
    }


def tag(call: Call, ref: Ref, message: str, created: str) -> Shape:
    """`id` is the tag object of an annotated tag, `commit.sha` always the commit."""
    name = ref.name.removeprefix("refs/tags/")
    archive = f"{call.base}/{call.repo}/archive/{name}"
    return {
        "name": name,
        "message": message,
        "id": ref.sha,
        # The address is built from the tag object, as the forge does it.
        "commit": {"url": call.url(f"/git/commits/{ref.sha}"), "sha": ref.commit, "created": created},
        "zipball_url": f"{archive}.zip",
        "tarball_url": f"{archive}.tar.gz",
    }


def reference(call: Call, ref: Ref) -> Shape:
    kind = {"tag": "tags", "commit": "commits"}.get(ref.kind, "blobs")
    target = {"type": ref.kind, "sha": ref.sha, "url": call.url(f"/git/{kind}/{ref.sha}")}
    return {"ref": ref.name, "url": call.url(f"/git/{ref.name}"), "object": target}
