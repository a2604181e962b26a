"""Bad input: one clear line, exit status 2, and nothing started."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from deploy.demo.house import House, run_of
from tests.e2e.conftest import Play

pytestmark = pytest.mark.e2e


@pytest.fixture
def project_file(house: House) -> Generator[Path]:
    """The project's file on the worker; as it was, afterwards."""
    path = house.facts.projects / "shop.toml"
    before = path.read_text()
    yield path
    path.write_text(before)


async def test_an_unknown_project_is_refused(play: Play) -> None:
    line = await play.refused("start", "shpo", "1.0.0", "--as", "carol")
    assert "shpo" in line
    assert "shop" in line


@pytest.mark.parametrize("version", ["1.2", "1.2.3; rm -rf /", "v1.2.3", "latest", "1.2.3+build"])
async def test_what_is_no_semantic_version_is_refused(play: Play, version: str) -> None:
    line = await play.refused("start", "shop", version, "--as", "carol")
    assert "version" in line


async def test_a_tag_on_another_commit_is_refused(play: Play) -> None:
    await play.start()
    await play.at_gate()
    await play.house.starter("abort", "shop", "--reason", "only a test", "--as", "bob")
    await play.ended()
    other = await play.house.publish("77.0.0")
    line = await play.refused("start", "shop", play.version, "--as", "carol", "--commit", other)
    assert f"v{play.version}" in line
    assert "commit" in line


async def test_malformed_toml_is_refused_with_its_place(play: Play, project_file: Path) -> None:
    project_file.write_text(project_file.read_text() + "\n[gate\n")
    line = await play.refused("start", "shop", play.version, "--as", "carol")
    assert "shop.toml" in line
    assert "line" in line


async def test_every_fault_of_a_file_is_named_with_its_path(play: Play, project_file: Path) -> None:
    text = project_file.read_text().replace("expires_after", "expirse_after").replace('"deploy"', '"-deploy"')
    project_file.write_text(text)
    line = await play.refused("start", "shop", play.version, "--as", "carol")
    assert "gate.expirse_after" in line
    assert "production.ssh.user" in line


async def test_a_host_without_a_known_key_is_refused(play: Play, project_file: Path) -> None:
    host = play.house.facts.having("production")[1].address
    project_file.write_text(project_file.read_text().replace(f'"{host}"', '"127.0.9.9"'))
    line = await play.refused("start", "shop", play.version, "--as", "carol")
    assert "127.0.9.9" in line
    assert "known" in line


@pytest.mark.parametrize("old", ['"scan.py"', '"acme/shop"'])
async def test_latest_is_refused_wherever_it_is_written(play: Play, project_file: Path, old: str) -> None:
    text = project_file.read_text()
    assert old in text
    project_file.write_text(text.replace(old, '"acme/shop:latest"'))
    assert "latest" in await play.refused("start", "shop", play.version, "--as", "carol")


async def test_a_missing_token_is_named(play: Play, project_file: Path) -> None:
    name = play.house.facts.forge.token_env
    project_file.write_text(project_file.read_text().replace(f"env:{name}", "env:NOT_SET_ANYWHERE"))
    assert "NOT_SET_ANYWHERE" in await play.refused("start", "shop", play.version, "--as", "carol")


async def test_an_unreachable_temporal_is_one_line(play: Play) -> None:
    words = ("start", "shop", "1.0.0", "--as", "carol")
    code, _, err = await play.house.run_starter(*words, TEMPORAL_ADDRESS="127.0.0.1:9")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "127.0.0.1:9" in err


async def test_a_worker_with_bad_settings_names_every_fault_and_ends_with_2(house: House, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **house.environment,
        "RUNBOOK_PROJECTS": str(tmp_path / "none"),
        "RUNBOOK_GRACE": "soon",
    }
    code, out, err = await run_of(house.worker_words(), environment)
    assert code == 2, out + err
    assert "RUNBOOK_PROJECTS" in out + err
    assert "RUNBOOK_GRACE" in out + err
