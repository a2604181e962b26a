"""The tag, against real repositories and real hooks: once, on its commit, whoever is killed or quicker."""

import asyncio
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from activities.clients.git import GitClient, Tagger
from activities.errors import Refused, Unreachable
from runbook.trouble import Cause
from tests.activities.clients.origin import FORGE, Origin, client, git

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


async def test_a_tag_that_is_not_annotated_is_refused_with_the_way_out(origin: Origin, mine: GitClient) -> None:
    origin.tag("v1.4.0", origin.first, annotated=False)
    with pytest.raises(Refused, match=r"is not annotated: .*`git push origin :refs/tags/v1\.4\.0` and retry"):
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    git(origin.path, "tag", "--delete", "v1.4.0")
    assert not await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert origin.tags() == {"v1.4.0": "tag"}


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
    somebody = "git -c user.name=bob -c user.email=bob@example.net tag -a -m v1.4.0 v1.4.0"
    ours = "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES"
    origin.hook("pre-receive", f"{ours}; {somebody} {origin.first}")
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
    with pytest.raises(Refused, match=r"no tag that is called v1\.lock"):
        await mine.push_tag(origin.project(), FORGE, origin.first, "v1.lock", "v1")


async def test_a_full_disk_is_worth_another_try(origin: Origin, mine: GitClient) -> None:
    assert not await mine.push_tag(origin.project(), FORGE, origin.first, "v1.3.0", "v1.3.0")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        with pytest.raises(Unreachable, match=r"could not make tag v1\.4\.0 .* look at the worker's disk"):
            await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert not await mine.push_tag(origin.project(), FORGE, origin.first, "v1.4.0", "v1.4.0")
    assert origin.tags() == {"v1.3.0": "tag", "v1.4.0": "tag"}


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
