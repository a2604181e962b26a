"""A first fetch that takes long: it has a limit of its own, others wait for it, and whoever is cancelled ends."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from activities.clients.file_lock import take
from activities.clients.git import GitClient
from activities.errors import Unreachable
from tests.activities.clients.origin import FORGE, Origin, client

SECOND = timedelta(seconds=1)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Has the server of every fetch do this before it packs; gives the file in which it writes its process's number."""

    def before(does: str) -> Path:
        hook, number = tmp_path / "pack", tmp_path / "pack.pid"
        hook.write_text(f'#!/bin/sh\necho $$ > "$0.new"; mv "$0.new" {number}; {does}; exec "$@"\n')
        hook.chmod(0o755)
        (tmp_path / ".gitconfig").write_text(f"[uploadpack]\n\tpackObjectsHook = {hook}\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        return number

    return before


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def reading(mine: GitClient, origin: Origin, commit: str) -> asyncio.Task[bytes | None]:
    return asyncio.create_task(mine.read(origin.project(), FORGE, commit, "package.json"))


async def test_a_first_fetch_may_take_longer_than_any_other_command(
    origin: Origin, tmp_path: Path, pack: Callable[[str], Path]
) -> None:
    pack("sleep 3")
    mine = client(tmp_path / "worker", limit=2 * SECOND)
    assert b"1.4.0" in (await reading(mine, origin, origin.first) or b"")


async def test_whoever_wants_the_same_mirror_waits_for_the_fetch_under_way(
    origin: Origin, tmp_path: Path, pack: Callable[[str], Path]
) -> None:
    number = pack("sleep 3")
    workers = [client(tmp_path / "worker", limit=2 * SECOND) for _ in range(2)]
    first = reading(workers[0], origin, origin.first)
    await until(number.exists)
    packing = number.read_text()
    found = await asyncio.gather(first, *(reading(worker, origin, origin.first) for worker in workers))
    assert all(b"1.4.0" in (text or b"") for text in found)
    assert number.read_text() == packing, "it was fetched twice"


async def test_a_fetch_that_takes_longer_than_its_own_limit_is_ended(
    origin: Origin, tmp_path: Path, pack: Callable[[str], Path]
) -> None:
    number = pack("sleep 60")
    mine = client(tmp_path / "worker", fetch_within=SECOND)
    with pytest.raises(Unreachable, match="git fetch of acme/shop did not end within 0:00:01"):
        await reading(mine, origin, origin.first)
    await until(lambda: not running(number))


async def test_a_fetch_bears_a_server_that_packs_without_a_word_for_minutes(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a helper for HTTP would be told; one that is silent for so long is no test to wait for."""
    helper, told = tmp_path / "git-remote-spy", tmp_path / "told"
    helper.write_text(f"#!/bin/sh\ngit config http.lowSpeedTime >> {told}\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    mine, project = client(tmp_path / "worker"), origin.project(repository="spy::anywhere")
    with pytest.raises(Unreachable):
        await mine.branch_head(project, FORGE)
    with pytest.raises(Unreachable):
        await mine.read(project, FORGE, origin.first, "package.json")
    assert told.read_text().split() == ["30", "300"]


async def test_a_cancelled_fetch_is_ended_and_the_next_one_begins_anew(
    origin: Origin, tmp_path: Path, pack: Callable[[str], Path]
) -> None:
    number = pack("sleep 60")
    mine = client(tmp_path / "worker")
    fetching = reading(mine, origin, origin.first)
    await until(number.exists)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    await until(lambda: not running(number))
    pack("true")
    assert await reading(mine, origin, origin.first)


async def test_an_attempt_that_waits_for_anothers_lock_hears_its_cancellation(origin: Origin, tmp_path: Path) -> None:
    mine = client(tmp_path / "worker")
    await reading(mine, origin, origin.first)
    [lock] = (mine.folder / "mirrors").glob("*.lock")
    held = take(lock)
    assert held is not None
    second = origin.commit("More")
    waiting = reading(mine, origin, second)
    await asyncio.wait({waiting}, timeout=0.5)
    started = time.monotonic()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - started < 1
    os.close(held)
    assert await reading(mine, origin, second)


def running(number: Path) -> bool:
    stat = Path(f"/proc/{number.read_text().strip()}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
