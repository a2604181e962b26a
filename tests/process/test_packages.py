"""Started with a Python that has no packages, a program says so in one line."""

import subprocess
import sys

import pytest

from tests.programs import ROOT


@pytest.mark.parametrize("program", ["starter.py", "worker.py"])
def test_without_its_packages_a_program_says_which_python_to_take(program: str) -> None:
    done = subprocess.run(
        # -S: without the folder of its packages, as the machine's own Python is.
        [sys.executable, "-S", str(ROOT / program), "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{program}: {sys.executable} has no package ")
    assert done.stderr.endswith(": run it with .venv/bin/python, or `make setup` first\n")
    assert done.stderr.count("\n") == 1
