"""What a long run tells of a test that fails, and how it ends with one that hangs."""

import re
from pathlib import Path

from tests.inner_pytest import run

# What pytest-timeout can't end: its one exception is swallowed.
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


def test_a_failure_is_told_before_the_run_has_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.watched", "def test_swap(): assert 1 == 2, 'not swapped'\ndef test_pull(): pass")
    assert ended.returncode == 1
    told, _, summary = ended.stdout.partition("= FAILURES =")
    assert re.search(r"test_one\.py::test_swap, call, after \d+\.\d s:", told)
    assert "not swapped" in told
    assert "not swapped" in summary


def test_a_test_that_hangs_fails_and_the_run_ends(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.watched", HANGS, "-n", "1", "--max-worker-restart", "0", WATCHED_GRACE="1")
    assert ended.returncode == 1
    assert "1 failed in" in ended.stdout
    assert "crashed while running" in ended.stdout
    assert "in lost" in ended.stderr, "where it hung is told"
