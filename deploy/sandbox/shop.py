"""The demo project: fills the forge's repository, and adds a version to it the way its developers would."""

import base64
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from deploy.sandbox.forge_git import git
from deploy.sandbox.serving import PLAIN

TEMPLATE = Path(__file__).parent / "shop"
CHECKS = ("ci / lint (push)", "ci / test (push)")
CHANGELOG = """# Changelog

The format is [Keep a Changelog](https://keepachangelog.com/en/1.1.0/), the versions are semantic.

## [Unreleased]
"""
DEVELOPER = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "alice"), ("EMAIL", "alice@example.net"))
}


class Shop:
    """A checkout in `folder` of one repository of the forge at `forge_url`; `token` may push and set statuses."""

    def __init__(self, folder: Path, forge_url: str, token: str, repository: str = "acme/shop") -> None:
        self.folder = folder
        self._forge = forge_url.rstrip("/")
        self._token = token
        self._repository = repository
        self._url = f"{self._forge}/{repository}.git"

    async def create(self) -> None:
        """Clones the repository, and fills it from the template when it has no commit yet."""
        if not (self.folder / ".git").exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            await self._git("clone", "--quiet", self._url, str(self.folder), folder=self.folder.parent)
        if not (self.folder / "package.json").exists():
            shutil.copytree(TEMPLATE, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            (self.folder / "CHANGELOG.md").write_text(CHANGELOG)
            self._set_name()
            await self._push("Begin the shop")

    async def commit_version(
        self, version: str, *, changes: Sequence[str] = (), changelog: bool = True, green: bool = True, note: str = ""
    ) -> str:
        """Commits and pushes `version` to main and answers the commit's sha.

        `changes` are the changelog's lines; without `changelog` the section is left out, without `green` the
        commit's checks fail. `note` is put under the commit's subject, for instance "[skip ci]". A version that is
        committed already is not committed again.
        """
        self._set_version(version)
        if changelog:
            self._add_section(version, changes or (f"What is new in {version}.",))
        sha = await self._push(f"Release {version}" + (f"\n\n{note}" if note else ""))
        await self.set_checks(sha, "success" if green else "failure")
        return sha

    async def set_checks(self, sha: str, state: str) -> None:
        """Sets every status of the commit; states are the forge's (pending, success, failure, …)."""
        headers = {"Authorization": f"token {self._token}"}
        async with httpx.AsyncClient(base_url=self._forge, headers=headers, trust_env=False, verify=PLAIN) as client:
            for context in CHECKS:
                status = {"state": state, "context": context, "description": f"{context}: {state}"}
                answer = await client.post(f"/api/v1/repos/{self._repository}/statuses/{sha}", json=status)
                answer.raise_for_status()

    async def push_tag(self, version: str, sha: str = "HEAD") -> None:
        """Tags and pushes by hand, as somebody at a desk would."""
        await self._git("tag", "--annotate", "--message", f"v{version}", f"v{version}", sha)
        await self._git("push", "--quiet", self._url, f"refs/tags/v{version}")

    async def _push(self, message: str) -> str:
        await self._git("add", "--all")
        if await self._git("status", "--porcelain"):
            await self._git("commit", "--quiet", "--message", message)
        await self._git("push", "--quiet", self._url, "HEAD:refs/heads/main")
        return (await self._git("rev-parse", "HEAD")).decode().strip()

    async def _git(self, *words: str, folder: Path | None = None) -> bytes:
        secret = base64.b64encode(f"alice:{self._token}".encode()).decode()
        # By the environment, so that the token is on no command line and in no file.
        config = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
        }
        return await git(folder or self.folder, *words, env={**config, **DEVELOPER})

    def _set_name(self) -> None:
        self._change_package(name=self._repository.split("/")[1])

    def _set_version(self, version: str) -> None:
        self._change_package(version=version)

    def _change_package(self, **fields: str) -> None:
        path = self.folder / "package.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}, indent=2) + "\n")

    def _add_section(self, version: str, changes: Sequence[str]) -> None:
        path = self.folder / "CHANGELOG.md"
        if f"## [{version}]" in path.read_text():
            return
        head, mark, rest = path.read_text().partition("## [Unreleased]\n")
        day = datetime.now(UTC).date().isoformat()
        section = f"\n## [{version}] - {day}\n\n### Added\n\n" + "".join(f"- {change}\n" for change in changes)
        path.write_text(head + mark + section + rest)
