"""Clean checkouts for the project's own commands, made when needed and removed afterwards, also those of the dead."""

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import structlog

from activities.clients.file_lock import take
from activities.clients.git import GitClient
from activities.heartbeat import in_thread
from runbook.project import ForgeTable, ProjectTable

log = structlog.stdlib.get_logger()


class Checkouts:
    """Each checkout is held by a lock that ends with the worker, so that what a killed one left is told from one in use."""

    def __init__(self, git: GitClient) -> None:
        self._git = git
        self._folder = git.folder / "checkouts"

    @contextlib.asynccontextmanager
    async def of(self, project: ProjectTable, forge: ForgeTable, commit: str) -> AsyncGenerator[Path]:
        """A clean detached checkout of `commit` for the block; its folder is gone afterwards.

        Raises:
            Refused: the commit is nowhere in the repository, or the checkout does not come out clean.
            Unreachable: the forge or the disk did not let us.
        """
        await in_thread(self._sweep)
        with self._claimed() as place:
            try:
                folder = place / project.name
                await self._git.check_out(project, forge, commit, folder)
                yield folder
            finally:
                await in_thread(_remove, place)

    @contextlib.contextmanager
    def _claimed(self) -> Generator[Path]:
        """A new place, held for the block however that ends: its removal may be cancelled too."""
        while True:
            place = self._folder / uuid.uuid4().hex
            lock = take(place.with_suffix(".lock"))
            if lock is not None:
                break
        try:
            place.mkdir()
            yield place
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        """Remove what killed attempts left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("*.lock"):
            lock = take(path)
            if lock is not None:
                try:
                    _remove(path.with_suffix(""))
                finally:
                    os.close(lock)


def _remove(place: Path) -> None:
    """Remove a checkout and its lock file; what can't be removed is left to the next sweep."""
    shutil.rmtree(place, onerror=_insist)
    if place.exists():
        log.warning("a checkout could not be removed", folder=str(place))
    else:
        place.with_suffix(".lock").unlink(missing_ok=True)


def _insist(again: Callable[..., Any], path: str, _: object) -> None:
    """A build may leave folders that nobody may write: take the right to, and try once more."""
    with contextlib.suppress(OSError):
        Path(path).parent.chmod(stat.S_IRWXU)
        Path(path).chmod(stat.S_IRWXU)
        again(path)
