"""Bare mirrors of the repositories, one each, fetched when a wanted commit is missing, safe to share."""

import shutil
from datetime import timedelta
from pathlib import Path

from activities.clients.file_lock import locked
from activities.clients.git_command import GitCommand
from activities.clients.git_errors import failure
from activities.clients.git_remote import Remote
from activities.errors import Refused, Unreachable
from activities.heartbeat import in_thread

# While a server gathers what it will send of a large repository it says five bytes in five seconds, or hardly less: by the
# settings of other commands half a minute of that is a dead connection.
_SETTINGS = ("http.lowSpeedTime=300",)
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


class Mirrors:
    """Each mirror is written under a lock of its own; commits never change, so reading needs none.

    `within` bounds a fetch, and as long is waited for another's.
    """

    def __init__(self, git: GitCommand, folder: Path, within: timedelta) -> None:
        self._git = git
        self._folder = folder
        self._within = within

    async def holding(self, remote: Remote, commit: str) -> Path:
        """The mirror, with `commit` and everything behind it.

        Raises:
            Refused: no branch or tag of the repository reaches the commit, or the forge lets nobody in.
            Unreachable: the forge did not answer.
        """
        mirror = self._folder / f"{remote.key}.git"
        if await self._has(mirror, commit):
            return mirror
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = mirror.with_suffix(".lock")
        async with locked(lock, within=self._within, why=f"could not fetch {remote.name}") as descriptor:
            if not await self._has(mirror, commit):
                await self._refresh(mirror, remote, descriptor)
            if not await self._has(mirror, commit):
                raise Refused(
                    f"commit {commit[:12]} is on no branch or tag of {remote.name}: push it, or order another commit"
                )
        return mirror

    async def _has(self, mirror: Path, commit: str) -> bool:
        if not await in_thread(mirror.is_dir):
            return False
        found = await self._git.run(["cat-file", "-e", f"{commit}^{{commit}}"], at=mirror)
        return found.code == 0

    async def _refresh(self, mirror: Path, remote: Remote, descriptor: int) -> None:
        if await in_thread(mirror.is_dir):
            # We hold the lock and so does every git we started: whoever left these is dead.
            await in_thread(_drop_stale_locks, mirror)
            await self._fetch(mirror, remote, descriptor)
            return
        new = mirror.with_suffix(".new")
        await in_thread(shutil.rmtree, new, ignore_errors=True)
        new.mkdir()
        made = await self._git.run(["init", "--quiet", "--bare", "--template="], at=new, holding=descriptor)
        if made.code:
            raise Unreachable(f"could not make a mirror of {remote.name} in {new.parent}: {made.err.strip()[:200]}")
        await self._fetch(new, remote, descriptor)
        new.rename(mirror)

    async def _fetch(self, mirror: Path, remote: Remote, descriptor: int) -> None:
        words = ["fetch", "--quiet", "--prune", "--no-tags", "--force", "--", remote.address, *_REFS]
        fetched = await self._git.run(
            words, at=mirror, remote=remote, holding=descriptor, within=self._within, settings=_SETTINGS
        )
        if fetched.code:
            raise failure(fetched, remote, "fetch")


def _drop_stale_locks(mirror: Path) -> None:
    for lock in [*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock"), *(mirror / "objects").glob("*/*.lock")]:
        lock.unlink(missing_ok=True)
