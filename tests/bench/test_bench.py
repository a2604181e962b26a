"""`make bench` measures and prints."""

import re
import subprocess
import sys

from tests.bench.__main__ import PARTS
from tests.bench.line import Line, table
from tests.deploy.running import ROOT


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def test_its_cheapest_part_is_measured_and_printed_beside_something() -> None:
    done = run("--only", "ledger")
    assert done.returncode == 0, done.stderr
    head, line, machine = done.stdout.splitlines()
    assert head.split() == ["measured", "took", "beside", "took", "ratio"]
    assert re.fullmatch(r"a row of the ledger kept \(SQLite; \d+ a second\) +\S+ m?s  .* \d+\.\d", line)
    assert "cores" in machine


def test_an_unknown_part_is_refused_with_those_that_there_are() -> None:
    done = run("--only", "everything")
    assert done.returncode == 2
    assert all(part in done.stderr for part in PARTS)


def test_a_line_without_anything_beside_it_has_no_ratio() -> None:
    lines = table([Line("one", 0.0125, "two", 0.005), Line("three", 90.0)])
    assert lines == [
        "measured     took  beside    took  ratio",
        "one       12.5 ms  two     5.0 ms    2.5",
        "three      90.0 s",
    ]
