"""How git is run: ended in time and with all it started, without hooks, secrets or settings of the worker."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from activities.checkout import Checkouts
from activities.clients.git import GitClient
from activities.errors import Refused, Unreachable
from tests.activities.clients.origin import FORGE, TOKEN, Origin, client


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
