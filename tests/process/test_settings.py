"""Settings: defaults that work, and every fault named at once."""

import os
from pathlib import Path

import pytest
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion

from process.connection import Target
from process.settings import BadSettings, StarterSettings, Tagger, WorkerSettings, together
from process.versioning import deployment_of


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with the two folders and nothing else of ours."""
    for name in [name for name in os.environ if name.startswith(("RUNBOOK_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "projects").mkdir()
    monkeypatch.setenv("RUNBOOK_PROJECTS", str(tmp_path / "projects"))
    monkeypatch.setenv("RUNBOOK_STATE", str(tmp_path / "s"))
    return monkeypatch


def faults() -> list[str]:
    with pytest.raises(BadSettings) as bad:
        WorkerSettings.read()
    return bad.value.faults


def test_two_folders_are_all_a_worker_needs(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = WorkerSettings.read()
    assert settings.task_queue == "release-runbook"
    assert settings.ledger_url.get_secret_value() == f"sqlite:///{tmp_path}/s/ledger.db"
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700


def test_every_fault_is_named_at_once_with_its_variable(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = {
        "RUNBOOK_PROJECTS": str(tmp_path / "nowhere"),
        "RUNBOOK_STATE": str(tmp_path / "file" / "below"),
        "RUNBOOK_LEDGER": "mysql://localhost/ledger",
        "RUNBOOK_LOG_FORMAT": "xml",
        "RUNBOOK_LOG_LEVEL": "loud",
        "RUNBOOK_GRACE": "soon",
        "RUNBOOK_TAGGER": "nobody",
        "RUNBOOK_MAX_ACTIVITIES": "0",
        "RUNBOOK_METRICS": "9464",
        "RUNBOOK_TASK_QUEUE": "",
        "RUNBOOK_DEPLOYMENT": "release.runbook",
        "RUNBOOK_BUILD_ID": "a build",
        "RUNBOOK_VERSIONING": "sometimes",
    }
    for name, value in wrong.items():
        variables.setenv(name, value)
    assert sorted(fault.split(":")[0] for fault in faults()) == sorted(wrong)


def test_a_fault_is_one_line_and_does_not_show_the_ledgers_password(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_LEDGER", "mysql://runbook:opensesame@db/ledger")
    (fault,) = faults()
    assert "opensesame" not in fault
    assert "\n" not in fault


def test_settings_do_not_print_the_ledgers_password(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_LEDGER", "postgresql+psycopg://runbook:opensesame@db/ledger")
    assert "opensesame" not in repr(WorkerSettings.read())


def test_a_misspelt_variable_is_a_fault_and_not_silently_the_default(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_TASKQUEUE", "mine")
    variables.setenv("RUNBOOK_FORGE_TOKEN", "a secret that a project's file may refer to")
    assert faults() == ["RUNBOOK_TASKQUEUE: there is no such setting; did you mean RUNBOOK_TASK_QUEUE?"]


def test_the_tagger_is_read_as_git_writes_it(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_TAGGER", "Release Runbook <releases@example.net>")
    assert WorkerSettings.read().tagger == Tagger("Release Runbook", "releases@example.net")


@pytest.mark.parametrize("tagger", ["nobody", "<releases@example.net>", "A <b> <c@example.net>", "A <example.net>"])
def test_a_tagger_that_git_would_not_take_is_refused(variables: pytest.MonkeyPatch, tagger: str) -> None:
    variables.setenv("RUNBOOK_TAGGER", tagger)
    assert faults() == ["RUNBOOK_TAGGER: write it like Release Runbook <releases@example.net>"]


def test_a_deployment_without_its_build_and_a_build_without_its_deployment_are_refused(
    variables: pytest.MonkeyPatch,
) -> None:
    variables.setenv("RUNBOOK_DEPLOYMENT", "release-runbook")
    [missing] = faults()
    assert missing.startswith("RUNBOOK_BUILD_ID: is missing")
    variables.delenv("RUNBOOK_DEPLOYMENT")
    variables.setenv("RUNBOOK_BUILD_ID", "1.4.0")
    variables.setenv("RUNBOOK_VERSIONING", "auto_upgrade")
    assert [fault.partition(" means nothing without")[0] for fault in faults()] == [
        "RUNBOOK_BUILD_ID:",
        "RUNBOOK_VERSIONING:",
    ]


def test_builds_are_told_apart_only_where_that_is_asked_for(variables: pytest.MonkeyPatch) -> None:
    assert deployment_of(WorkerSettings.read()) is None
    variables.setenv("RUNBOOK_DEPLOYMENT", "release-runbook")
    variables.setenv("RUNBOOK_BUILD_ID", "1.4.0+a1b2c3")
    pinned = deployment_of(WorkerSettings.read())
    assert pinned is not None
    assert pinned.version == WorkerDeploymentVersion("release-runbook", "1.4.0+a1b2c3")
    assert (pinned.use_worker_versioning, pinned.default_versioning_behavior) == (True, VersioningBehavior.PINNED)
    variables.setenv("RUNBOOK_VERSIONING", "auto_upgrade")
    upgrading = deployment_of(WorkerSettings.read())
    assert upgrading is not None
    assert upgrading.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE


def test_the_starter_minds_only_its_own_settings(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_STATE", "/proc/nowhere")
    variables.setenv("RUNBOOK_USER", "alice")
    assert StarterSettings.read().user == "alice"


def test_the_faults_of_both_kinds_of_settings_are_named_together(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNBOOK_GRACE", "soon")
    variables.setenv("TEMPORAL_TLS", "maybe")
    with pytest.raises(BadSettings) as bad:
        together(WorkerSettings.read, Target.read)
    assert [fault.split(":")[0] for fault in bad.value.faults] == ["RUNBOOK_GRACE", "TEMPORAL_TLS"]
