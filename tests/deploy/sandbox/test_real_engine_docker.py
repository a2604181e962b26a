import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.images import find_busybox
from deploy.sandbox.sandbox_facts import SandboxFacts

CHECKOUT = Path(__file__).parents[3]
LACKING = [tool for tool in ("docker", "dockerd", "ip", "iptables", "nsenter", "unshare") if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
    pytest.mark.skipif(find_busybox() is None, reason="no static busybox"),
]


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """The words that run a command in a network namespace of its own."""
    name = f"sandbox-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    words = ["nsenter", f"--net=/run/netns/{name}"]
    subprocess.run([*words, "ip", "link", "set", "lo", "up"], check=True)
    yield words
    subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture
def engine(inside: list[str]) -> Iterator[Path]:
    """The socket of a Docker engine of the test's own."""
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        # Not pytest's folder: containerd's socket lies deep below, and its path must stay short.
        yield from running_engine(inside, Path(name))


def running_engine(inside: list[str], folder: Path) -> Iterator[Path]:
    socket = folder / "docker.sock"
    places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "-p", folder / "pid"]
    # Mounts of its own: whatever the engine leaves mounted goes with it.
    words = [*inside, "unshare", "--mount", "dockerd", *map(str, places), "-H", f"unix://{socket}"]
    with (folder / "log").open("w") as log, ended(subprocess.Popen(words, stdout=log, stderr=log)) as daemon:
        wait_for(lambda: daemon.poll() is not None or answers(socket))
        if daemon.poll() is not None:
            pytest.skip(f"dockerd does not run here: {(folder / 'log').read_text()[-300:]}")
        yield socket


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def answers(socket: Path) -> bool:
    ping = ["docker", "-H", f"unix://{socket}", "version"]
    return subprocess.run(ping, capture_output=True, check=False).returncode == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.05)


def docker(socket: Path, *words: str) -> str:
    told = subprocess.run(["docker", "-H", f"unix://{socket}", *words], capture_output=True, text=True, check=True)
    return told.stdout


def test_the_hosts_of_a_sandbox_share_a_real_engine_and_are_kept_apart(
    inside: list[str], engine: Path, tmp_path: Path
) -> None:
    root = tmp_path / "s"
    sandbox = [*inside, sys.executable, "-m", "deploy.sandbox"]
    words = [*sandbox, "up", "--root", str(root), "--staging", "1", "--production", "2", "--engine", "docker"]
    environment = {**os.environ, "DOCKER_HOST": f"unix://{engine}"}
    with ended(subprocess.Popen(words, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL)) as up:
        wait_for(lambda: up.poll() is not None or (root / "sandbox.json").exists())
        facts = SandboxFacts.read(root)
        told = subprocess.run([*sandbox, "state", "--root", str(root)], cwd=CHECKOUT, capture_output=True, check=True)
        states: dict[str, Any] = json.loads(told.stdout)["hosts"]
        assert facts.engine == "docker"
        for name, state in states.items():
            assert state["version"] == {"status": 200, "body": {"version": "v1.0.0"}}, name
            assert [container["status"] for container in state["containers"]] == ["running"]
        one, two = (host.engine_socket for host in facts.having("production"))
        docker(one, "stop", "--time", "3", "shop")
        assert docker(one, "ps", "--quiet", "--filter", "name=^/?shop$") == ""
        assert docker(two, "ps", "--format", "{{.Names}}", "--filter", "name=^/?shop$") == "shop\n"
        assert len(docker(engine, "ps", "--quiet").split()) == 2
    assert up.returncode == 0
    assert docker(engine, "ps", "--quiet") == ""
