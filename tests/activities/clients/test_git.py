"""The git client against real repositories and real hooks."""

import asyncio
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from activities.clients.file_lock import take
from activities.clients.git import GitClient
from activities.errors import Refused, Unreachable
from tests.activities.clients.origin import FORGE, Origin, client, git


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def mine(tmp_path: Path) -> GitClient:
    return client(tmp_path / "worker")


# ---- looking


async def test_the_head_of_the_branch_is_what_the_remote_says_now(origin: Origin, mine: GitClient) -> None:
    assert await mine.branch_head(origin.project(), FORGE) == origin.first
    second = origin.commit("More")
    assert await mine.branch_head(origin.project(), FORGE) == second


async def test_a_branch_that_is_missing_is_refused_by_name(origin: Origin, mine: GitClient) -> None:
    with pytest.raises(Refused, match="acme/shop has no branch release/2"):
        await mine.branch_head(origin.project(branch="release/2"), FORGE)


async def test_a_ref_whose_name_only_ends_alike_is_not_taken_for_it(origin: Origin, mine: GitClient) -> None:
    git(origin.path, "update-ref", "refs/heads/old/refs/tags/v1.4.0", origin.first)
    assert await mine.tag_commit(origin.project(), FORGE, "v1.4.0") is None


@pytest.mark.parametrize("annotated", [True, False])
async def test_a_tag_is_peeled_to_its_commit(origin: Origin, mine: GitClient, annotated: bool) -> None:
    origin.tag("v1.4.0", origin.first, annotated=annotated)
    assert await mine.tag_commit(origin.project(), FORGE, "v1.4.0") == origin.first
    assert await mine.tag_commit(origin.project(), FORGE, "v1.4") is None


async def test_a_file_is_read_at_its_commit_and_not_at_the_head(origin: Origin, mine: GitClient) -> None:
    origin.commit("Bump", {"package.json": '{"version": "2.0.0"}'})
    assert b'"1.4.0"' in (await mine.read(origin.project(), FORGE, origin.first, "package.json") or b"")
    assert await mine.read(origin.project(), FORGE, origin.first, "no blob there.txt") is None


async def test_a_folder_is_no_file_and_a_link_is_followed(origin: Origin, mine: GitClient) -> None:
    (origin.work / "NEWS").symlink_to("CHANGELOG.md")
    commit = origin.commit("Link", {"docs/a.md": "a"})
    assert await mine.read(origin.project(), FORGE, commit, "docs") is None
    assert b"Checkout is faster" in (await mine.read(origin.project(), FORGE, commit, "NEWS") or b"")


async def test_the_last_five_commits_are_told_newest_first(origin: Origin, mine: GitClient) -> None:
    head = [origin.commit(f"Change {n}") for n in range(6)][-1]
    lines = await mine.last_commits(origin.project(), FORGE, head)
    assert [line.rpartition(": ")[2] for line in lines] == [f"Change {n}" for n in (5, 4, 3, 2, 1)]


async def test_a_commit_is_on_the_branch_only_when_the_head_contains_it(origin: Origin, mine: GitClient) -> None:
    project = origin.project()
    head = origin.commit("Newer")
    git(origin.work, "checkout", "--quiet", "-b", "aside", origin.first)
    aside = origin.commit("Aside", branch="aside")
    assert await mine.commits_behind(project, FORGE, origin.first, head) == 1
    assert await mine.commits_behind(project, FORGE, head, head) == 0
    assert await mine.commits_behind(project, FORGE, aside, head) is None


async def test_a_commit_that_no_branch_reaches_is_refused(origin: Origin, mine: GitClient) -> None:
    with pytest.raises(Refused, match="is on no branch or tag of acme/shop"):
        await mine.read(origin.project(), FORGE, "0" * 39 + "1", "package.json")


async def test_a_repository_that_is_not_there_is_refused(origin: Origin, mine: GitClient, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"check project\.repository"):
        await mine.branch_head(origin.project(repository=str(tmp_path / "nowhere.git")), FORGE)


# ---- the mirror


async def test_ten_attempts_and_two_workers_share_one_first_clone(origin: Origin, tmp_path: Path) -> None:
    workers = [client(tmp_path / "worker"), client(tmp_path / "worker")]
    reads = [workers[n % 2].read(origin.project(), FORGE, origin.first, "package.json") for n in range(10)]
    assert all(b"1.4.0" in (text or b"") for text in await asyncio.gather(*reads))
    kept = sorted(path.suffix for path in (tmp_path / "worker" / "mirrors").iterdir())
    assert kept == [".git", ".lock"]


async def test_a_fetch_that_was_killed_midway_is_made_good_by_the_next(origin: Origin, mine: GitClient) -> None:
    await mine.read(origin.project(), FORGE, origin.first, "package.json")
    [mirror] = (mine.folder / "mirrors").glob("*.git")
    (mirror / "refs" / "heads" / "main.lock").touch()
    (mirror / "packed-refs.lock").touch()
    second = origin.commit("More")
    assert await mine.read(origin.project(), FORGE, second, "notes.txt") == b"More"


async def test_a_first_clone_that_was_killed_midway_is_started_again(origin: Origin, mine: GitClient) -> None:
    await mine.read(origin.project(), FORGE, origin.first, "package.json")
    [mirror] = (mine.folder / "mirrors").glob("*.git")
    half = mirror.rename(mirror.with_suffix(".new"))
    (half / "HEAD").unlink()
    assert await mine.read(origin.project(), FORGE, origin.first, "package.json") is not None


async def test_a_branch_that_was_rewritten_and_one_that_became_a_folder_are_fetched(
    origin: Origin, mine: GitClient
) -> None:
    git(origin.path, "branch", "topic", "main")
    await mine.read(origin.project(), FORGE, origin.first, "package.json")
    git(origin.path, "branch", "-D", "topic")
    git(origin.path, "branch", "topic/one", "main")
    git(origin.work, "commit", "--quiet", "--amend", "-m", "Rewritten")
    git(origin.work, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    rewritten = git(origin.work, "rev-parse", "HEAD")
    assert await mine.message(origin.project(), FORGE, rewritten) == "Rewritten\n\n"


async def test_a_lock_that_another_worker_keeps_is_not_waited_for_without_end(origin: Origin, tmp_path: Path) -> None:
    impatient = client(tmp_path / "worker", fetch_within=timedelta(seconds=1))
    await impatient.read(origin.project(), FORGE, origin.first, "package.json")
    [lock] = (tmp_path / "worker" / "mirrors").glob("*.lock")
    held = take(lock)
    assert held is not None
    second = origin.commit("More")
    with pytest.raises(Unreachable, match="another attempt holds"):
        await impatient.read(origin.project(), FORGE, second, "notes.txt")
    os.close(held)
    assert await impatient.read(origin.project(), FORGE, second, "notes.txt") == b"More"


async def test_a_child_that_outlives_its_worker_still_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    descriptor = take(lock)
    assert descriptor is not None
    child = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
    os.close(descriptor)
    assert take(lock) is None
    child.kill()
    child.wait()
    again = take(lock)
    assert again is not None
    os.close(again)
