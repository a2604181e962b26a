"""A real repository to release from, with real hooks, made and looked at with the real git."""

import os
import subprocess
from pathlib import Path

from activities.clients.git import GitClient, Tagger
from runbook.project import ForgeTable, ProjectTable

TOKEN = "t0ken-that-nobody-may-see"
FORGE = ForgeTable(url="http://127.0.0.1:1", token="env:RUNBOOK_TEST_TOKEN")
_NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def git(at: Path, *words: str, feed: str = "") -> str:
    who = ["-c", "user.name=alice", "-c", "user.email=alice@example.net"]
    environment = {**os.environ, **_NOBODY}
    done = subprocess.run(
        ["git", *who, *words], cwd=at, input=feed, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout.strip()


class Origin:
    """A bare repository `path` and a work tree beside it; its first commit has a changelog and a package.json."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.git"
        self.work = folder / "work"
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--bare", "-b", "main", str(self.path))
        git(folder, "init", "--quiet", "-b", "main", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.path))
        files = {
            "package.json": '{"name": "shop", "version": "1.4.0"}\n',
            "CHANGELOG.md": "# Changelog\n\n## [1.4.0] - 2026-01-02\n\n- Checkout is faster\n\n## [1.3.0]\n\n- Old\n",
        }
        self.first = self.commit("Release 1.4.0", files)

    def commit(self, message: str, files: dict[str, str] | None = None, branch: str = "main") -> str:
        for name, text in (files or {"notes.txt": message}).items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--message", message)
        git(self.work, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.work, "rev-parse", "HEAD")

    def tag(self, name: str, commit: str, *, annotated: bool = True) -> None:
        git(self.path, "tag", *(["-a", "-m", name] if annotated else []), name, commit)

    def tags(self) -> dict[str, str]:
        """Every tag's name and the kind of object it is."""
        listed = git(self.path, "for-each-ref", "--format=%(refname:short) %(objecttype)", "refs/tags")
        return dict(line.split(" ") for line in listed.splitlines())

    def hook(self, name: str, script: str) -> None:
        hook = self.path / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def project(self, **changes: object) -> ProjectTable:
        table = {"owner": "acme", "name": "shop", "repository": str(self.path), **changes}
        return ProjectTable.model_validate(table)


def client(folder: Path, **more: object) -> GitClient:
    return GitClient(folder, Tagger("Release Runbook", "release@example.net"), **more)  # type: ignore[arg-type]  # only limits
