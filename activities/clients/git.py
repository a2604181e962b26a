"""What a release asks of the project's repository, through the real git and a mirror of the worker's own."""

import re
from datetime import timedelta
from pathlib import Path

from activities.clients.git_command import GitCommand
from activities.clients.git_errors import failure, lines_of, told
from activities.clients.git_mirror import Mirrors
from activities.clients.git_push import Tagger, TagPush
from activities.clients.git_remote import Remote, remote_of
from activities.errors import Refused, Unreachable
from runbook.project import ForgeTable, ProjectTable
from runbook.step import FETCH_WITHIN
from runbook.trouble import Cause

__all__ = ["GitClient", "Tagger"]

_LONGEST_LINE = 300
_BLOB = re.compile(rb"[0-9a-f]+ blob (\d+)")


class GitClient:
    """`folder` is the worker's own, kept between releases; `limit` bounds every git command but a fetch."""

    def __init__(
        self,
        folder: Path,
        tagger: Tagger,
        *,
        limit: timedelta = timedelta(seconds=100),
        fetch_within: timedelta = FETCH_WITHIN,
    ) -> None:
        self.folder = folder
        self._git = GitCommand(folder, limit)
        self._mirrors = Mirrors(self._git, folder / "mirrors", fetch_within)
        self._tags = TagPush(self._git, tagger)

    async def branch_head(self, project: ProjectTable, forge: ForgeTable) -> str:
        """The commit at the head of the release branch; Refused when there is no such branch."""
        head = await self.branch_commit(project, forge, project.branch)
        if head is None:
            name = f"{project.owner}/{project.name}"
            raise Refused(f"{name} has no branch {project.branch}: check project.branch and project.repository")
        return head

    async def branch_commit(self, project: ProjectTable, forge: ForgeTable, branch: str) -> str | None:
        """The commit at the head of any branch, as the forge says now."""
        return (await self._refs(remote_of(project, forge), f"refs/heads/{branch}")).get(f"refs/heads/{branch}")

    async def tag_commit(self, project: ProjectTable, forge: ForgeTable, tag: str) -> str | None:
        """The commit that the forge's tag stands on (peeled), None when there is no such tag."""
        return (await self._tagged(remote_of(project, forge), tag))[0]

    async def read(self, project: ProjectTable, forge: ForgeTable, commit: str, path: str) -> bytes | None:
        """The bytes of one file at that commit, None when it has no such file."""
        mirror = await self._mirrors.holding(remote_of(project, forge), commit)
        words = ["cat-file", "--batch", "--follow-symlinks"]
        found = await self._git.run(words, at=mirror, feed=f"{commit}:{path}\n".encode())
        head, _, rest = found.out.partition(b"\n")
        blob = _BLOB.fullmatch(head)
        return rest[: int(blob[1])] if blob else None

    async def last_commits(self, project: ProjectTable, forge: ForgeTable, commit: str, count: int = 5) -> list[str]:
        """One line for each of the last commits up to this one, newest first."""
        mirror = await self._mirrors.holding(remote_of(project, forge), commit)
        logged = await self._git.run(["log", f"-{count}", "--format=%h %cs %an: %s", commit, "--"], at=mirror)
        return [line[:_LONGEST_LINE] for line in logged.text.splitlines()]

    async def message(self, project: ProjectTable, forge: ForgeTable, commit: str) -> str:
        """The commit's whole message."""
        mirror = await self._mirrors.holding(remote_of(project, forge), commit)
        return (await self._git.run(["log", "-1", "--format=%B", commit, "--"], at=mirror)).text

    async def commits_behind(self, project: ProjectTable, forge: ForgeTable, commit: str, head: str) -> int | None:
        """How many commits `head` is ahead of `commit`; None when it does not contain it."""
        remote = remote_of(project, forge)
        await self._mirrors.holding(remote, head)
        mirror = await self._mirrors.holding(remote, commit)
        contained = await self._git.run(["merge-base", "--is-ancestor", commit, head], at=mirror)
        if contained.code:
            return None
        counted = await self._git.run(["rev-list", "--count", f"{commit}..{head}", "--"], at=mirror)
        return int(counted.text)

    async def push_tag(self, project: ProjectTable, forge: ForgeTable, commit: str, tag: str, message: str) -> bool:
        """Put the annotated tag on the commit, on the forge; True when it was there already, on this commit.

        Raises:
            Refused: the tag stands on another commit (TAG_MOVED), or the forge takes no such tag (PUSH_REJECTED).
            Unreachable: the forge did not answer, before or after.
        """
        remote = remote_of(project, forge)
        if await self._stands(remote, tag, commit):
            return True
        mirror = await self._mirrors.holding(remote, commit)
        made = await self._tags.make(mirror, commit, tag, message)
        refused = await self._tags.push(mirror, remote, tag, made)
        if refused is None:
            return False
        # Another attempt may have been quicker, and a lost connection says nothing of what the forge did.
        if await self._stands(remote, tag, commit):
            return True
        raise refused

    async def check_out(self, project: ProjectTable, forge: ForgeTable, commit: str, folder: Path) -> None:
        """Make `folder`, a clean detached checkout with the repository's tags; Refused when it does not come out clean."""
        mirror = await self._mirrors.holding(remote_of(project, forge), commit)
        for words, at in (
            (["clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(mirror), str(folder)], mirror),
            (["remote", "set-url", "origin", project.repository], folder),
            (["checkout", "--quiet", "--force", "--detach", commit, "--"], folder),
        ):
            done = await self._git.run(words, at=at)
            if done.code:
                raise Unreachable(f"could not check out {commit[:12]}: {told(done)}", evidence=lines_of(done))
        status = await self._git.run(["status", "--porcelain"], at=folder)
        if status.code:
            raise Unreachable(f"could not look at the checkout of {commit[:12]}: {told(status)}")
        if status.out:
            lines = status.text.splitlines()[:20]
            raise Refused(f"the checkout of {commit[:12]} is not clean: {lines[0]}", evidence=lines)

    async def _stands(self, remote: Remote, tag: str, commit: str) -> bool:
        there, is_annotated = await self._tagged(remote, tag)
        if there not in {None, commit}:
            raise Refused(
                f"tag {tag} of {remote.name} stands on {str(there)[:12]}, not on {commit[:12]}: "
                "release that commit, or give the release another version; a published tag is never moved",
                cause=Cause.TAG_MOVED,
                evidence=[f"refs/tags/{tag} {there}"],
            )
        if there and not is_annotated:
            raise Refused(
                f"tag {tag} of {remote.name} stands on {commit[:12]}, but is not annotated: it tells neither who set it nor when; "
                f"`git push origin :refs/tags/{tag}` and retry, or give the release another version",
                evidence=[f"refs/tags/{tag} {there}"],
            )
        return there is not None

    async def _tagged(self, remote: Remote, tag: str) -> tuple[str | None, bool]:
        """The commit that the tag stands on, and whether the tag is an object of its own."""
        ref = f"refs/tags/{tag}"
        refs = await self._refs(remote, ref, f"{ref}^{{}}")
        peeled = refs.get(f"{ref}^{{}}")
        return peeled or refs.get(ref), peeled is not None

    async def _refs(self, remote: Remote, *names: str) -> dict[str, str]:
        """The refs at the remote that have one of these names, or one that ends alike, as it says now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listed = await self._git.run(["ls-remote", "--", remote.address, *names], at=self.folder, remote=remote)
        if listed.code:
            raise failure(listed, remote, "read the refs of")
        rows = (line.split("\t", 1) for line in listed.text.splitlines() if "\t" in line)
        return {name: commit for commit, name in rows}
