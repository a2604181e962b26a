"""The git client against real repositories and real hooks."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from activities.checkout import Checkouts
from activities.clients.file_lock import take
from activities.clients.git import GitClient, Tagger
from activities.errors import Refused, Unreachable
from runbook.trouble import Cause
from tests.activities.clients.origin import FORGE, TOKEN, Origin, client, git

PROTECTED = (
    'while read _ _ ref; do case "$ref" in refs/tags/*) echo "Gitea: Tag v1.4.0 is protected"; exit 1;; esac; done'
)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def mine(tmp_path: Path) -> GitClient:
    return client(tmp_path / "worker")


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


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
    impatient = client(tmp_path / "worker", limit=timedelta(seconds=1))
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


# ---- time limits and ends


SLOW = 'echo $$ > "$0.new"; mv "$0.new" "$0.pid"; exec sleep 60'


async def test_a_remote_that_hangs_ends_at_the_limit_and_leaves_no_process(origin: Origin, tmp_path: Path) -> None:
    pid = _slow_push(origin)
    hasty = client(tmp_path / "worker", limit=timedelta(seconds=1))
    with pytest.raises(Unreachable, match="git push of acme/shop did not end within 0:00:01"):
        await hasty.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    await until(lambda: _gone(pid()))


async def test_a_cancelled_push_ends_its_processes_before_the_cancellation_is_seen(
    origin: Origin, mine: GitClient
) -> None:
    pid = _slow_push(origin)
    push = asyncio.create_task(mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0"))
    await until((origin.path / "hooks" / "pre-receive.pid").exists)
    push.cancel()
    with pytest.raises(asyncio.CancelledError):
        await push
    await until(lambda: _gone(pid()))
    assert origin.tags() == {}


def _slow_push(origin: Origin) -> Callable[[], int]:
    origin.hook("pre-receive", SLOW)
    return lambda: int((origin.path / "hooks" / "pre-receive.pid").read_text())


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# ---- the tag


async def test_the_tag_is_annotated_by_the_tagger_and_pushed_alone(origin: Origin, mine: GitClient) -> None:
    existed = await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "Release v1.4.0\n\nby alice")
    assert not existed
    assert origin.tags() == {"v1.4.0": "tag"}
    said = git(origin.path, "for-each-ref", "--format=%(taggername) %(taggeremail) %(contents)", "refs/tags/v1.4.0")
    assert said == "Release Runbook <release@example.net> Release v1.4.0\n\nby alice"


async def test_pushing_it_again_finds_it_there(origin: Origin, mine: GitClient, tmp_path: Path) -> None:
    project = origin.project()
    assert not await mine.push_tag(project, FORGE, origin.first, "v1.4.0", "first")
    before = git(origin.path, "rev-parse", "refs/tags/v1.4.0")
    assert await mine.push_tag(project, FORGE, origin.first, "v1.4.0", "first")
    assert await client(tmp_path / "other").push_tag(project, FORGE, origin.first, "v1.4.0", "other words")
    assert git(origin.path, "rev-parse", "refs/tags/v1.4.0") == before


async def test_attempts_at_the_same_moment_end_with_exactly_one_tag(origin: Origin, tmp_path: Path) -> None:
    workers = [client(tmp_path / f"worker-{n}") for n in range(4)]
    pushes = [
        worker.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", f"by worker {n}")
        for n, worker in enumerate(workers)
    ]
    existed = await asyncio.gather(*pushes)
    assert existed.count(False) == 1
    assert origin.tags() == {"v1.4.0": "tag"}


@pytest.mark.parametrize("annotated", [True, False])
async def test_a_tag_on_another_commit_is_refused(origin: Origin, mine: GitClient, annotated: bool) -> None:
    second = origin.commit("More")
    origin.tag("v1.4.0", origin.first, annotated=annotated)
    with pytest.raises(Refused, match=f"stands on {origin.first[:12]}, not on {second[:12]}") as refused:
        await mine.push_tag(origin.project(), FORGE, second, "v1.4.0", "v1.4.0")
    assert refused.value.cause is Cause.TAG_MOVED
    assert git(origin.path, "rev-parse", "v1.4.0^{commit}") == origin.first


async def test_another_commit_that_is_tagged_while_we_push_is_refused_and_stays(
    origin: Origin, mine: GitClient
) -> None:
    second = origin.commit("More")
    # The hook is somebody who is quicker by a moment.
    origin.hook("pre-receive", f"unset GIT_QUARANTINE_PATH; git update-ref refs/tags/v1.4.0 {origin.first}")
    with pytest.raises(Refused) as refused:
        await mine.push_tag(origin.project(), FORGE, second, "v1.4.0", "v1.4.0")
    assert refused.value.cause is Cause.TAG_MOVED
    assert git(origin.path, "rev-parse", "v1.4.0^{commit}") == origin.first


async def test_the_same_commit_tagged_while_we_push_counts_as_done(origin: Origin, mine: GitClient) -> None:
    origin.hook("pre-receive", f"unset GIT_QUARANTINE_PATH; git update-ref refs/tags/v1.4.0 {origin.first}")
    assert await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")


async def test_a_protected_tag_is_a_rejected_push_with_the_forges_words(origin: Origin, mine: GitClient) -> None:
    origin.hook("pre-receive", PROTECTED)
    with pytest.raises(Refused, match=r"Tag v1\.4\.0 is protected.*protection") as refused:
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert refused.value.cause is Cause.PUSH_REJECTED
    assert any("Gitea: Tag v1.4.0 is protected" in line for line in refused.value.evidence)
    assert origin.tags() == {}


async def test_a_push_that_the_remote_took_before_the_line_broke_counts_as_done(
    origin: Origin, mine: GitClient
) -> None:
    origin.hook("post-receive", "kill -9 $PPID")
    assert await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert origin.tags() == {"v1.4.0": "tag"}


async def test_a_line_that_breaks_before_the_remote_took_it_is_tried_again(origin: Origin, mine: GitClient) -> None:
    origin.hook("pre-receive", "kill -9 $PPID")
    with pytest.raises(Unreachable, match=r"could not push tag v1\.4\.0 to acme/shop"):
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    (origin.path / "hooks" / "pre-receive").unlink()
    assert not await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")


async def test_a_tag_name_that_git_does_not_take_is_refused(origin: Origin, mine: GitClient) -> None:
    with pytest.raises(Refused, match=r"could not make tag v1\.lock"):
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.lock", "v1")


@pytest.mark.parametrize(("name", "email"), [("", "a@example.net"), ("a\nb", ""), ("a", "<b>")])
def test_a_tagger_that_git_would_misread_is_not_taken(name: str, email: str) -> None:
    with pytest.raises(ValueError, match="tagger"):
        Tagger(name, email)


# ---- killed between any two lines


PUSHER = """
    import asyncio, sys
    from pathlib import Path
    from tests.activities.clients.origin import FORGE, client
    from runbook.project import ProjectTable
    project = ProjectTable.model_validate_json(sys.argv[2])
    work = client(Path(sys.argv[1])).push_tag(project, FORGE, sys.argv[3], "v1.4.0", "v1.4.0")
    asyncio.run(work)
"""


MOMENTS = {
    "the first clone is under way": ("worker/mirrors", "*.new"),
    "the mirror is made": ("worker/mirrors", "*.git"),
    "the tag's object is made": ("worker/mirrors", "*.git/objects/??"),
    "the remote decides": ("origin/shop.git", "deciding"),
    "the remote took it": ("origin/shop.git", "taken"),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_attempt_killed_at_any_moment_leaves_nothing_that_the_next_one_minds(
    origin: Origin, tmp_path: Path, moment: str
) -> None:
    folder, sign = MOMENTS[moment]
    origin.hook("pre-receive", f"touch {origin.path}/deciding; sleep 0.2")
    origin.hook("post-receive", f"touch {origin.path}/taken; sleep 0.2")
    words = [str(tmp_path / "worker"), origin.project().model_dump_json(), origin.first]
    attempt = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PUSHER), *words])
    await until(lambda: any((tmp_path / folder).glob(sign)))
    attempt.send_signal(signal.SIGKILL)
    assert attempt.wait() == -signal.SIGKILL
    await client(tmp_path / "worker").push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert origin.tags() == {"v1.4.0": "tag"}
    assert git(origin.path, "rev-parse", "v1.4.0^{commit}") == origin.first


# ---- checkouts


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


async def test_hooks_of_whoever_runs_the_worker_are_not_run(
    origin: Origin, mine: GitClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with Checkouts(mine).of(origin.project(), FORGE, origin.first):
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert not (tmp_path / "hook-ran").exists()


async def test_a_worker_without_git_is_told_to_install_it(
    origin: Origin, mine: GitClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="install git on the worker"):
        await mine.branch_head(origin.project(), FORGE)


async def test_git_is_given_no_secret_of_the_worker(
    origin: Origin, mine: GitClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNBOOK_TEST_TOKEN", TOKEN)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    origin.hook("pre-receive", f"env > {origin.path}/seen")
    await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert TOKEN not in (origin.path / "seen").read_text()
