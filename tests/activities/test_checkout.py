"""Checkouts: clean, apart from each other, and gone afterwards."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from activities.checkout import Checkouts
from activities.clients.git import GitClient
from tests.activities.clients.origin import FORGE, Origin, client, git


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def mine(tmp_path: Path) -> GitClient:
    return client(tmp_path / "worker")


async def test_a_checkout_is_the_commit_clean_detached_and_gone_afterwards(origin: Origin, mine: GitClient) -> None:
    origin.tag("v1.3.0", origin.first)
    origin.commit("Bump", {"package.json": '{"version": "2.0.0"}'})
    async with Checkouts(mine).of(origin.project(), FORGE, origin.first) as folder:
        assert folder.name == "shop"
        assert '"1.4.0"' in (folder / "package.json").read_text()
        assert git(folder, "rev-parse", "HEAD") == origin.first
        assert git(folder, "status", "--porcelain", "--branch") == "## HEAD (no branch)"
        assert git(folder, "describe") == "v1.3.0"
    assert list((mine.folder / "checkouts").iterdir()) == []


async def test_a_command_that_commits_in_a_checkout_changes_no_mirror(origin: Origin, mine: GitClient) -> None:
    async with Checkouts(mine).of(origin.project(), FORGE, origin.first) as folder:
        git(folder, "tag", "v9.9.9")
        (folder / "a").write_text("a")
        git(folder, "add", "a")
        git(folder, "commit", "--quiet", "-m", "Mine")
    async with Checkouts(mine).of(origin.project(), FORGE, origin.first) as folder:
        assert git(folder, "tag") == ""
        assert not (folder / "a").exists()


async def test_checkouts_of_several_activities_do_not_meet(origin: Origin, mine: GitClient) -> None:
    async def work(number: int) -> str:
        async with Checkouts(mine).of(origin.project(), FORGE, origin.first) as folder:
            (folder / "mine").write_text(str(number))
            await asyncio.sleep(0.05)
            return (folder / "mine").read_text()

    assert await asyncio.gather(*map(work, range(4))) == list("0123")


async def test_what_a_killed_worker_left_is_removed_and_what_is_in_use_stays(origin: Origin, mine: GitClient) -> None:
    checkouts = Checkouts(mine)
    async with checkouts.of(origin.project(), FORGE, origin.first) as used:
        left = used.parent.with_name("0" * 32)
        (left / "shop").mkdir(parents=True)
        left.with_suffix(".lock").touch()
        (left / "shop").chmod(0o500)
        async with checkouts.of(origin.project(), FORGE, origin.first):
            assert not left.exists()
            assert not left.with_suffix(".lock").exists()
            assert (used / "package.json").exists()


async def test_a_cancelled_checkout_is_removed_too(origin: Origin, mine: GitClient) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with Checkouts(mine).of(origin.project(), FORGE, origin.first):
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((mine.folder / "checkouts").iterdir()) == []


@pytest.mark.parametrize("turns", range(1, 6))
async def test_a_checkout_that_is_cancelled_while_it_is_removed_lets_go_of_its_lock(
    origin: Origin, mine: GitClient, turns: int
) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with Checkouts(mine).of(origin.project(), FORGE, origin.first):
            inside.set()
            await leave.wait()

    task = asyncio.create_task(work())
    await inside.wait()
    assert locks_held(mine) == 1
    leave.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert locks_held(mine) == 0
    assert list((mine.folder / "checkouts").iterdir()) == []


def locks_held(mine: GitClient) -> int:
    """Descriptors of this process on locks of checkouts, of those removed as well."""
    held = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            held += str(descriptor.readlink()).startswith(str(mine.folder / "checkouts"))
    return held
