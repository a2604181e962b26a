"""What a long run tells of a test that fails, and how it ends with one that hangs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What pytest-timeout can't end: its one exception is lost in a callback of the loop.
HANGS = """
import time
def lost():
    try:
        time.sleep(60)
    except BaseException:
        pass
@pytest.mark.timeout(1)
def test_pull():
    while True:
        lost()
def test_swap(): pass
"""


def run(folder: Path, test: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_one.py").write_text(f"import pytest\n{test}\n")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n")
    words = ["-m", "pytest", "-p", "tests.watched", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, *words, "-c", str(folder / "pytest.ini"), *more, str(folder)],
        cwd=ROOT,
        env={**os.environ, "GRACE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_failure_is_told_before_the_run_has_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, "def test_swap(): assert 1 == 2, 'not swapped'\ndef test_pull(): pass")
    assert ended.returncode == 1
    told, _, summary = ended.stdout.partition("= FAILURES =")
    assert "test_one.py::test_swap, call, after 0.0 s:" in told
    assert "not swapped" in told
    assert "not swapped" in summary


def test_a_test_that_hangs_fails_and_the_run_ends(tmp_path: Path) -> None:
    ended = run(tmp_path, HANGS, "-n", "1", "--max-worker-restart", "0")
    assert ended.returncode == 1
    assert "1 failed in" in ended.stdout
    assert "crashed while running" in ended.stdout
    assert "in lost" in ended.stderr, "where it hung is told"
