"""The demo's house as a program: whose folder it may empty, and what is left when it ends in whatever way."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from deploy.demo.ground import NoGround, ground
from deploy.demo.program import Program
from tests.deploy.running import ROOT, ended, output_of

WITHIN = 60.0
DEMO = [sys.executable, "-m", "deploy.demo", "--keep", "--root"]


@contextlib.contextmanager
def sandbox(root: Path) -> Generator[subprocess.Popen[bytes]]:
    """`make sandbox` of this folder, once it has told how to play."""
    with said_of(root).open("wb") as said:
        process = subprocess.Popen(
            [*DEMO, str(root)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: process.poll() is not None or "Forge: " in said_of(root).read_text())
        assert process.poll() is None, said_of(root).read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def said_of(root: Path) -> Path:
    return root.with_suffix(".said")


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def those_of(root: Path) -> list[str]:
    """What runs below this folder: by its command line, its working folder or its log."""
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit() and str(root) in told_of(path)]


def told_of(process: Path) -> str:
    with contextlib.suppress(OSError):
        files = [str((process / name).readlink()) for name in ("cwd", "fd/1")]
        return " ".join([*files, (process / "cmdline").read_text()])
    return ""


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_whatever_ends_it_nothing_of_it_stays_and_the_next_one_can_start(tmp_path: Path, how: signal.Signals) -> None:
    root = tmp_path / "house"
    with sandbox(root) as process:
        assert len(those_of(root)) >= 4
        refused = ended([*DEMO, str(root)], folder=ROOT)
        assert refused.returncode == 1
        assert f"a sandbox or demo runs in {root} (pid {process.pid}): end it with Ctrl-C there" in refused.stderr
        assert refused.stderr.count("\n") == 1
        process.send_signal(how)
        assert process.wait(WITHIN) == (-how if how is signal.SIGKILL else 0)
        until(lambda: those_of(root) == [])
    with ground(root):
        assert [path.name for path in root.iterdir()] == ["demo.lock"]


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_what_it_tells_to_type_works_in_any_shell_and_any_folder(tmp_path: Path) -> None:
    with sandbox(tmp_path / "house"):
        lines = said_of(tmp_path / "house").read_text().splitlines()
        told = [line for line in lines if line.startswith(("cd ", "export ", ".venv/bin/python "))]
        assert [words[:3] for words in map(str.split, told)] == [
            ["cd", str(ROOT)],
            told[1].split(),
            [".venv/bin/python", "starter.py", "start"],
            [".venv/bin/python", "starter.py", "watch"],
            [".venv/bin/python", "starter.py", "approve"],
            [".venv/bin/python", "-m", "deploy.sandbox"],
        ]
        # This Python, which stands in another folder where the tests were given another one.
        typed = "\n".join([*told[:3], told[5]]).replace(".venv/bin/python", sys.executable)
        answered = output_of(["sh", "-ec", typed], environment={"PATH": "/usr/bin:/bin"}, folder=tmp_path)
    assert "release shop 1.0.0: started as release-shop" in answered
    assert '"version": "1.1.0"' in answered


def test_a_folder_that_is_not_the_demo_s_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with (
        pytest.raises(NoGround, match=r"holds something else .*: remove it yourself, or give --root another"),
        ground(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_an_earlier_demo_left_is_emptied_and_no_link_is_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "house", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    with ground(root):
        (root / "logs").mkdir()
        (root / "logs" / "worker.log").touch()
        (root / "link").symlink_to(elsewhere)
    with ground(root):
        assert [path.name for path in root.iterdir()] == ["demo.lock"]
    assert (elsewhere / "kept").exists()


def test_two_houses_never_stand_in_one_folder(tmp_path: Path) -> None:
    with ground(tmp_path):
        (tmp_path / "temporal.db").touch()
        with pytest.raises(NoGround, match=rf"\(pid {os.getpid()}\)"), ground(tmp_path):
            pass
        assert (tmp_path / "temporal.db").exists()


@pytest.mark.parametrize("wrong", ["a file", "no folder may be made there"])
def test_what_can_t_be_a_folder_is_told_in_one_line(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" if wrong == "a file" else tmp_path / "file" / "below"
    with pytest.raises(NoGround, match=r"can't be used .*: give --root another folder"), ground(root):
        pass


def test_a_program_stays_when_the_thread_that_asked_for_it_ends(tmp_path: Path) -> None:
    """The kernel's tie is to a thread: an event loop's threads end long before the house does."""
    program = Program("sleep", ["sleep", "60"], tmp_path / "log", {})
    starting = threading.Thread(target=program.start)
    starting.start()
    starting.join()
    try:
        time.sleep(0.2)
        assert program.running()
    finally:
        program.kill()
