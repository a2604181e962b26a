"""The two lock files against pyproject.toml and against what is installed from them."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"requirements.lock": {"postgresql", "dev"}, "deploy/requirements.lock": {"postgresql"}}


def pins(lock: str) -> dict[str, Requirement]:
    """Each locked package by its name; a package has one line, whatever the platform."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\"))
            assert requirement.name not in found, f"{lock} has {requirement.name} twice"
            found[requirement.name] = requirement
    return found


def version_of(pin: Requirement) -> str:
    [exact] = pin.specifier
    assert exact.operator == "==", f"{pin} is not pinned"
    return exact.version


def asked_for(extras: set[str]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(text) for texts in lists for text in texts]


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of these and of all they need here, as the installed packages tell it."""
    found: set[str] = set()
    waiting = [(canonicalize_name(each.name), frozenset(each.extras)) for each in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in distribution(name).requires or []:
            each = Requirement(text)
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append((canonicalize_name(each.name), frozenset(each.extras)))
    return found


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_every_dependency_of_the_project_is_locked_at_a_version_that_it_allows(lock: str, extras: set[str]) -> None:
    locked = pins(lock)
    for requirement in asked_for(extras):
        assert version_of(locked[canonicalize_name(requirement.name)]) in requirement.specifier, requirement


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_whatever_a_locked_package_needs_is_locked_too(lock: str, extras: set[str]) -> None:
    assert needed(asked_for(extras)) - set(pins(lock)) == set()


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_nothing_is_locked_that_nobody_needs(lock: str, extras: set[str]) -> None:
    elsewhere = {name for name, pin in pins(lock).items() if pin.marker and not pin.marker.evaluate()}
    assert set(pins(lock)) - needed(asked_for(extras)) - elsewhere == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes_and_no_registry_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text
    for entry in re.split(r"\n(?=[a-z0-9])", text):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]


def test_the_worker_runs_the_versions_that_were_tested() -> None:
    tested, deployed = pins("requirements.lock"), pins("deploy/requirements.lock")
    assert {name: version_of(pin) for name, pin in deployed.items()} == {
        name: version_of(tested[name]) for name in deployed
    }


def test_no_tool_of_the_developers_is_deployed() -> None:
    tools = {canonicalize_name(each.name) for each in asked_for({"dev"})} - {
        canonicalize_name(each.name) for each in asked_for(set())
    }
    assert tools & set(pins("deploy/requirements.lock")) == set()
