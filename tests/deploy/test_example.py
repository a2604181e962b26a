"""The example of a project's file and of the worker's environment."""

import json
import re
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from activities.projects import Projects
from process.settings import StarterSettings, WorkerSettings
from tests.deploy.running import DEPLOY, ROOT, output_of

EXAMPLE = DEPLOY / "projects" / "shop.toml"
# Prints what systemd's own reader of such files found, quoted for a shell.
SYSTEMD_READS = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
ENVIRONMENT = (DEPLOY / "env.example").read_text()


def test_the_example_project_is_valid_and_holds_no_secret() -> None:
    project = Projects(EXAMPLE.parent).load("shop").project
    assert len(project.production.batches()) == 3
    assert all(secret.startswith("file:/etc/release-runbook/secrets/") for secret in project.secrets())


def test_an_editor_accepts_the_example_and_marks_a_misspelt_key() -> None:
    schema = json.loads((DEPLOY / "projects" / "project.schema.json").read_text())
    table = tomllib.loads(EXAMPLE.read_text())
    jsonschema.validate(table, schema)
    table["gate"]["aprovals"] = 2
    with pytest.raises(jsonschema.ValidationError, match="aprovals"):
        jsonschema.validate(table, schema)


def test_the_environment_file_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^(?:# )?(RUNBOOK_\w+)=", ENVIRONMENT, re.MULTILINE))
    assert named == {f"RUNBOOK_{field.upper()}" for field in WorkerSettings.model_fields}
    assert set(StarterSettings.model_fields) - set(WorkerSettings.model_fields) == {"user"}


def read_by_sh(text: str) -> dict[str, str]:
    """Every variable that a shell has after reading this."""
    read = 'set -a; eval "$1"; exec env -0'
    told = output_of(["sh", "-ec", read, "sh", text], environment={"PATH": "/usr/bin:/bin"})
    return dict(line.split("=", 1) for line in told.split("\0") if line)


def test_a_shell_and_systemd_read_the_same_in_the_environment_file(tmp_path: Path) -> None:
    by_sh = read_by_sh(ENVIRONMENT)
    assert by_sh["RUNBOOK_TAGGER"] == "Release Runbook <releases@example.net>"
    if not SYSTEMD_READS.exists():
        pytest.skip(f"there is no {SYSTEMD_READS}: install systemd")
    (tmp_path / "environment.d").mkdir()
    (tmp_path / "environment.d" / "worker.conf").write_text(ENVIRONMENT)
    told = output_of([str(SYSTEMD_READS)], environment={"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)})
    by_systemd = read_by_sh(told)
    names = re.findall(r"^(\w+)=", ENVIRONMENT, re.MULTILINE)
    assert len(names) > 3
    assert {name: by_systemd[name] for name in names} == {name: by_sh[name] for name in names}


def test_the_worker_takes_the_environment_file_and_what_it_shows_are_the_defaults(tmp_path: Path) -> None:
    shown = re.sub(r"^# (RUNBOOK_|TEMPORAL_)", r"\1", ENVIRONMENT, flags=re.MULTILINE)
    variables = {name: value for name, value in read_by_sh(shown).items() if name.startswith("RUNBOOK_")}
    variables |= {"RUNBOOK_PROJECTS": str(EXAMPLE.parent), "RUNBOOK_STATE": str(tmp_path)}
    read = "from process.settings import WorkerSettings; print(WorkerSettings.read().model_dump_json())"
    settings = json.loads(output_of([sys.executable, "-c", read], environment=variables, folder=ROOT))
    for field in ("grace", "max_activities", "log_format", "log_level", "task_queue"):
        assert settings[field] == WorkerSettings.model_fields[field].default
    assert settings["tagger"][1] == "releases@example.net"
