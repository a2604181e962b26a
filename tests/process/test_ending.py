"""The end of a process: its status, and all it wrote."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from process.ending import end
atexit.register(print, "never")
threading.Thread(target=time.sleep, args=(60,)).start()
print("written")
print("complained", file=sys.stderr)
end(int(sys.argv[1]))
"""


@pytest.mark.parametrize("status", [0, 6])
def test_the_status_is_what_was_asked_for_and_what_was_written_arrives(status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(status)], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "written\n", "complained\n")


def test_an_output_that_was_closed_from_the_start_does_not_change_the_status() -> None:
    shell = 'exec "$0" -c "$1" 3 >&- 2>&-'
    ended = subprocess.run(["sh", "-c", shell, sys.executable, PROGRAM], timeout=20, check=False)
    assert ended.returncode == 3


def test_a_reader_that_went_away_does_not_change_the_status() -> None:
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "3"], stdout=subprocess.PIPE, env=buffered) as program:
        assert program.stdout is not None
        program.stdout.close()
        assert program.wait(20) == 3
