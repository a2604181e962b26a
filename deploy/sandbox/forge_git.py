"""One bare repository of the forge: real git, read and written by its plumbing commands."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.forge_hooks import install_hooks

MISSING = "0" * 40
FIELDS = ["%(refname)", "%(objectname)", "%(objecttype)", "%(*objectname)"]


class GitFailed(RuntimeError):
    """A git command that ended with another code than 0; the text is what it said."""


@dataclass(frozen=True)
class Ref:
    """`sha` is what the ref points at, `commit` the commit behind it (another one for an annotated tag)."""

    name: str
    sha: str
    kind: str
    commit: str


@dataclass(frozen=True)
class Commit:
    sha: str
    author: str
    email: str
    date: str
    message: str


async def git(folder: Path, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Runs git in `folder` with nobody's configuration; GitFailed when it fails."""

    def run() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *words],
            cwd=folder,
            input=stdin,
            env={**clean_environment(), **(env or {})},
            capture_output=True,
            check=False,
        )

    done = await asyncio.to_thread(run)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise GitFailed(f"git {words[0]} in {folder} ended with {done.returncode}: {said}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """What git needs of the environment, and an identity for what the forge itself commits."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()}
    return {**kept, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


IDENTITY = {"NAME": "actions-bot", "EMAIL": "actions-bot@example.net"}


class Repository:
    """`full_name` is "owner/name"; `path` its bare repository."""

    def __init__(self, path: Path, full_name: str) -> None:
        self.path = path
        self.full_name = full_name
        self.owner, self.name = full_name.split("/")
        self._writing = asyncio.Lock()

    def create(self) -> None:
        """Makes the repository when it is missing, and writes its hooks anew."""
        if not (self.path / "HEAD").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            for words in (
                ["init", "--bare", "--quiet", "--initial-branch=main", "."],
                ["config", "http.receivepack", "true"],
                ["config", "receive.autogc", "false"],
            ):
                subprocess.run(["git", *words], cwd=self.path, env=clean_environment(), check=True)
        install_hooks(self.path)

    async def resolve(self, revision: str) -> str | None:
        """The object a revision names, unpeeled; None when there is none."""
        try:
            out = await git(self.path, "rev-parse", "--verify", "--quiet", "--end-of-options", revision)
        except GitFailed:
            return None
        return out.decode().strip()

    async def commit_of(self, revision: str) -> str | None:
        return await self.resolve(revision + "^{commit}")

    async def refs(self, prefix: str) -> list[Ref]:
        """Every ref under `prefix`, which ends at a slash or is a whole name."""
        out = await git(self.path, "for-each-ref", "--format=" + "%00".join(FIELDS), prefix)
        rows = [line.split("\0") for line in out.decode().splitlines()]
        return [Ref(name, sha, kind, peeled or sha) for name, sha, kind, peeled in rows]

    async def ref(self, name: str) -> Ref | None:
        return next((ref for ref in await self.refs(name) if ref.name == name), None)

    async def commit(self, sha: str) -> Commit:
        out = await git(self.path, "show", "--no-patch", "--format=%H%x00%an%x00%ae%x00%cI%x00%B", sha)
        found, author, email, date, message = out.decode().split("\0", 4)
        return Commit(found, author, email, date, message.strip() + "\n")

    async def tag_message(self, ref: Ref) -> str:
        if ref.kind != "tag":
            return (await self.commit(ref.commit)).message
        raw = await git(self.path, "cat-file", "tag", ref.sha)
        return raw.decode().partition("\n\n")[2]

    async def read(self, revision: str, path: str) -> bytes | None:
        """A file's bytes; None when the revision or the file is missing."""
        try:
            return await git(self.path, "cat-file", "blob", f"{revision}:{path}")
        except GitFailed:
            return None

    async def tree(self, revision: str, path: str) -> list[tuple[str, str, str]]:
        """(kind, sha, name) of everything in a folder, empty when it is missing; kinds are blob and tree."""
        try:
            out = await git(self.path, "ls-tree", "-z", f"{revision}:{path.strip('/')}")
        except GitFailed:
            return []
        rows = [row.split("\t", 1) for row in out.decode().split("\0") if row]
        return [(meta.split()[1], meta.split()[2], name) for meta, name in rows]

    async def create_tag(self, name: str, target: str, message: str = "") -> None:
        """A lightweight tag, or with a message an annotated one."""
        words = ["--annotate", "--message", message] if message else []
        await git(self.path, "tag", *words, "--", name, target)

    async def delete_ref(self, name: str) -> None:
        await git(self.path, "update-ref", "-d", name)

    async def edit(self, branch: str, path: str, change: Callable[[bytes], bytes], message: str) -> str:
        """Commits `change` of one file at the top of `branch`, and answers the commit that has it.

        Branch and file are made when missing. Nothing is committed when nothing changes.
        """
        ref = f"refs/heads/{branch}"
        async with self._writing:
            parent = await self.commit_of(ref)
            held = await self.read(parent, path) if parent else None
            content = change(held or b"")
            if parent and held == content:
                return parent
            blob = (await git(self.path, "hash-object", "-w", "--stdin", stdin=content)).decode().strip()
            kept = [row for row in await self.tree(parent, "") if row[2] != path] if parent else []
            rows = [*kept, ("blob", blob, path)]
            listing = "".join(f"{'040000' if k == 'tree' else '100644'} {k} {s}\t{n}\0" for k, s, n in rows)
            tree = (await git(self.path, "mktree", "-z", stdin=listing.encode())).decode().strip()
            parents = ["-p", parent] if parent else []
            made = await git(self.path, "commit-tree", tree, *parents, stdin=message.encode())
            sha = made.decode().strip()
            await git(self.path, "update-ref", ref, sha, parent or MISSING)
            return sha
