"""The Compose file, as Compose itself reads it; that needs no engine."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from process.settings import WorkerSettings
from process.stopping import MARGIN
from runbook.span import Span
from tests.deploy.running import DEPLOY, ended, output_of

SLOWEST = WorkerSettings.model_fields["grace"].default + MARGIN.total_seconds()
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Services = Mapping[str, Any]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("config")
    shutil.copy(DEPLOY / "env.example", folder / "worker.env")
    environment = {"PATH": PATH, "HOME": str(folder), "RUNBOOK_CONFIG": str(folder)}
    text = output_of([*compose(), "--file", str(DEPLOY / "compose.yaml"), "config"], environment=environment)
    read: Services = yaml.safe_load(text)["services"]
    return read


def compose() -> list[str]:
    """Docker's plugin where there is one, else the program of its own that Debian 12 has."""
    if shutil.which("docker") and ended(["docker", "compose", "version"]).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return pytest.skip("there is no Docker Compose: install docker-compose")


def test_every_image_is_pinned_to_one_version(services: Services) -> None:
    for name, service in services.items():
        assert re.search(r":\d+\.\d+[\w.-]*$", service["image"]), name


def test_nothing_listens_beyond_this_machine(services: Services) -> None:
    published = [str(port) for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all("127.0.0.1" in port for port in published)


def test_no_secret_is_in_an_environment(services: Services) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            assert not re.search("PASSWORD|PWD|TOKEN|SECRET|KEY", variable) or str(value).startswith("/run/"), name


def test_it_reads_the_worker_s_environment_as_a_shell_does(services: Services) -> None:
    assert services["worker"]["environment"]["RUNBOOK_TAGGER"] == "Release Runbook <releases@example.net>"


def test_whatever_keeps_state_or_takes_orders_is_checked_and_started_again(services: Services) -> None:
    lasting = {name for name, service in services.items() if service.get("restart") == "unless-stopped"}
    assert lasting == {"database", "temporal", "ui", "worker"}
    # The worker's check is in its image; the UI holds nothing.
    assert {name for name, service in services.items() if "healthcheck" in service} == {"database", "temporal"}


def test_it_waits_longer_than_the_worker_needs_to_end(services: Services) -> None:
    written = services["worker"]["stop_grace_period"]
    minutes = re.fullmatch(r"(\d+)m(\d+)s", written)
    waits = f"{int(minutes[1]) * 60 + int(minutes[2])}s" if minutes else written
    assert TypeAdapter(Span).validate_python(waits).total_seconds() > SLOWEST


def test_the_worker_can_write_its_state_and_nothing_else(services: Services) -> None:
    worker = services["worker"]
    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]
    assert worker["security_opt"] == ["no-new-privileges:true"]
    [config] = [volume for volume in worker["volumes"] if "/etc/release-runbook" in json.dumps(volume)]
    assert str(config).endswith(":ro") or config["read_only"] is True


def test_the_scripts_that_it_mounts_are_there(services: Services) -> None:
    text = json.dumps({name: service.get("volumes", []) for name, service in services.items()})
    mounted = [Path(path) for path in re.findall(rf"{re.escape(str(DEPLOY))}/[\w./-]+", text)]
    assert len(mounted) == 3
    assert [path for path in mounted if not path.is_file()] == []
    for script in (path for path in mounted if path.suffix == ".sh"):
        output_of(["sh", "-n", str(script)])
