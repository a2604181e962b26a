import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.sandbox_facts import SandboxFacts

MODULE = [sys.executable, "-m", "deploy.sandbox"]
CHECKOUT = Path(__file__).parents[3]


@contextmanager
def running(root: Path, production: int = 1) -> Iterator[tuple[subprocess.Popen[str], SandboxFacts]]:
    sizes = ["--staging", "1", "--production", str(production)]
    words = [*MODULE, "up", "--root", str(root), *sizes, "--engine", "process"]
    facts = root / "sandbox.json"
    facts.unlink(missing_ok=True)
    with subprocess.Popen(words, cwd=CHECKOUT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as up:
        try:
            deadline = time.monotonic() + 30
            while not facts.exists():
                assert up.poll() is None, up.stderr and up.stderr.read()
                assert time.monotonic() < deadline, "no sandbox.json within 30 s"
                time.sleep(0.02)
            yield up, SandboxFacts.read(root)
        finally:
            up.kill()


def state(root: Path) -> dict[str, Any]:
    told = subprocess.run([*MODULE, "state", "--root", str(root)], cwd=CHECKOUT, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)["hosts"]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_sandbox_that_ended_comes_back_as_it_was_and_leaves_no_process(tmp_path: Path, end: signal.Signals) -> None:
    with running(tmp_path) as (up, first):
        before = state(tmp_path)["production-1"]["containers"][0]
        assert alive(before["pid"])
        os.kill(up.pid, end)
        assert up.wait(10) == (0 if end == signal.SIGTERM else -end)
        assert gone(before["pid"])
    with running(tmp_path, production=2) as (up, second):
        states = state(tmp_path)
        after = states["production-1"]
        assert second.model_copy(update={"pid": first.pid, "hosts": first.hosts}) == first
        assert second.host("production-1") == first.host("production-1")
        assert states["production-2"]["version"]["body"] == {"version": "v1.0.0"}
        assert (after["containers"][0]["id"], after["containers"][0]["running"]) == (before["id"], True)
        assert after["version"]["body"] == {"version": "v1.0.0"}
        up.send_signal(signal.SIGINT)
        assert up.wait(10) == 0
    assert not (tmp_path / "sandbox.json").exists()


@pytest.mark.parametrize("asked", [["state"], ["publish", "1.1.0"]], ids=" ".join)
def test_a_sandbox_that_is_not_up_says_how_to_start_it(tmp_path: Path, asked: list[str]) -> None:
    words = [*MODULE, *asked, "--root", str(tmp_path)]
    told = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert f"start one with `up --root {tmp_path}`" in told.stderr
