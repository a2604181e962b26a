"""A fleet leaves nothing behind, however the run that made it ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.claim import Claim
from tests.hosts.fleet import Fleet
from tests.hosts.processes import until

pytestmark = pytest.mark.hosts

CHECKOUT = Path(__file__).parents[2]
RUN = """
import signal
from tests.hosts.fleet import fleet
with fleet() as made:
    (host,) = made.begin(["one"])
    print(made.claim.name, host.pids("dockerd")[0], host.pids("sshd")[0], flush=True)
    signal.pause()
"""


def test_what_a_killed_run_left_is_removed_by_the_next(whole_fleet: Fleet) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        name, *pids = run.stdout.readline().split()
        run.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "its engine and its sshd end with it")
    claim = Claim.take()
    left = traces(name)
    claim.clean()
    claim.release()
    # Another run may have the number by now: it has begun with removing them.
    allowed = [str(claim.folder)] if claim.name == name else []
    assert left == allowed or Claim.of(int(name.removeprefix("fleet"))) is None
    assert name != whole_fleet.claim.name


def traces(name: str) -> list[str]:
    places = {
        "/run/netns": f"{name}-*",
        "/sys/class/net": name,
        "/sys/fs/cgroup": f"*/{name}",
        "/tmp": f"runbook-{name}",
    }
    return [str(path) for folder, pattern in places.items() for path in Path(folder).glob(pattern)]
