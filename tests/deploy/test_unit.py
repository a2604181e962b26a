"""The systemd unit."""

import shutil
import sys
from pathlib import Path

import pytest

from process.settings import WorkerSettings
from process.stopping import MARGIN
from tests.deploy.running import DEPLOY, ended, output_of
from tests.docs.pages import of_program

UNIT = DEPLOY / "systemd" / "release-runbook.service"
SLOWEST = WorkerSettings.model_fields["grace"].default + MARGIN.total_seconds()

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze: install systemd"
)


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text().replace("/opt/release-runbook/.venv/bin/python", sys.executable))
    verified = ended(["systemd-analyze", "verify", "--man=no", str(installed)])
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs_systemd
def test_systemd_finds_it_exposed_to_little() -> None:
    output_of(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)])


def test_it_waits_longer_than_the_worker_needs_to_end() -> None:
    assert float(settings()["TimeoutStopSec"][0]) > SLOWEST


def test_only_the_worker_is_asked_to_end_and_what_it_runs_is_left_to_it() -> None:
    assert settings()["KillMode"] == ["mixed"]


def test_its_user_is_the_one_that_is_made_for_it() -> None:
    made = (UNIT.parent / "release-runbook.sysusers").read_text().splitlines()[-1].split()
    assert made[:2] == ["u", settings()["User"][0]]
    assert made[-1] == f"/var/lib/{settings()['StateDirectory'][0]}"


def test_what_the_pages_run_beside_it_has_its_user_its_folder_and_its_environment() -> None:
    [(_, words)] = of_program("systemd-run")
    given = dict(word.removeprefix("--property=").removeprefix("--").split("=", 1) for word in words if "=" in word)
    wanted = {
        "uid": "User",
        "gid": "Group",
        "EnvironmentFile": "EnvironmentFile",
        "WorkingDirectory": "WorkingDirectory",
    }
    assert given == {option: settings()[key][0] for option, key in wanted.items()}
    assert words[words.index("-m") - 1] == settings()["ExecStart"][0].split()[0]
