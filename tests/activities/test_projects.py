import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.errors import Refused
from activities.projects import Projects, parsed
from runbook.project import Project, fingerprint
from tests.projects import project, project_table
from tests.toml import as_toml

FOLDER = Path(__file__).parents[2] / "deploy" / "projects"


EXAMPLE = str(as_toml(project_table()))


def changed(changes: dict[str, Any]) -> str:
    """The example with these keys set; None takes a key out."""
    tables = project_table()
    for path, value in changes.items():
        *tables_of, name = path.split(".")
        table = tables
        for part in tables_of:
            table = table[part]
        table[name] = value
        if value is None:
            del table[name]
    return str(as_toml(tables))


def faults(text: str) -> list[str]:
    found = parsed(text.encode())
    assert isinstance(found, list)
    return found


def test_the_example_is_a_project() -> None:
    read = Projects(FOLDER).load("shop")
    assert read.project.project.name == "shop"
    assert read.fingerprint == fingerprint((FOLDER / "shop.toml").read_bytes())


def test_the_committed_schema_takes_the_example_and_not_a_misspelt_one() -> None:
    schema = json.loads((FOLDER / "project.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(tomllib.loads((FOLDER / "shop.toml").read_text()))) == []
    assert list(validator.iter_errors(tomllib.loads(changed({"gate.aprovers": ["bob"]})))) != []


def test_staging_that_is_asked_where_production_is_is_refused() -> None:
    """The smoke test would try production before anybody approved anything."""
    table = {"staging.hosts": ["production-1"], "staging.port": 9090}
    [fault] = faults(changed(table))
    assert fault.startswith("staging: https://production-1/health is production's as well")
    apart = table | {
        "staging.health": "https://{host}:{port}/health",
        "staging.version": "https://{host}:{port}/version",
    }
    assert isinstance(parsed(changed(apart).encode()), Project)


@pytest.mark.parametrize(
    ("soak", "said"),
    [
        ({"every": "1m"}, "within: at a look every 1 min at most 1 failure falls within 1 min, never 3: "),
        ({"every": "30s"}, "within: at a look every 30 s at most 2 failures fall within 1 min, never 3: "),
        # A look that nobody answers takes 5 s, whatever `every` says.
        (
            {"every": "1s", "failures": 4, "within": "15s"},
            "within: at a look every 5 s at most 3 failures fall within ",
        ),
        ({"lasts": "9s"}, "lasts: at a look every 5 s at most 2 failures fall within 9 s, never 3: "),
        ({"failures": 10**400}, "within: at a look every 5 s at most 12 failures fall within 1 min, never 1000"),
    ],
)
def test_a_soak_that_could_never_fail_is_refused(soak: dict[str, Any], said: str) -> None:
    assert faults(changed({"production.soak": soak}))[0].startswith(f"production.soak.{said}")


def test_everything_that_keeps_a_soak_from_failing_is_named_at_once() -> None:
    found = faults(changed({"production.soak": {"lasts": "1m", "every": "5m"}}))
    assert [line.partition(": ")[0] for line in found] == ["production.soak.within", "production.soak.lasts"]


@pytest.mark.parametrize(
    "soak",
    [
        {},
        {"every": "29s"},
        {"lasts": "3s", "every": "500ms"},
        {"lasts": "10s"},
        {"every": "1m", "failures": 1},
        {"lasts": "0s", "every": "5m"},
    ],
)
def test_a_soak_that_a_lasting_failure_ends_is_taken_and_so_is_none(soak: dict[str, Any]) -> None:
    assert isinstance(parsed(changed({"production.soak": soak}).encode()), Project)


@pytest.mark.parametrize(
    ("key", "address", "left"),
    [
        ("production.health", "http://{hostname}:{port}/health", "{hostname}"),
        ("production.version", "http://{host}:{prot}/version", "{prot}"),
        ("staging.health", "http://{HOST}/health", "{HOST}"),
        ("staging.version", "http://{host}/{}", "{}"),
        ("production.health", "http://{host/health", "{host/health"),
        ("production.health", "http://{host}}/health", "}"),
    ],
)
def test_a_placeholder_that_stands_for_nothing_is_refused_before_anything_is_asked(
    key: str, address: str, left: str
) -> None:
    """It was found after production had been swapped, and the rollback asked the same address for ever."""
    assert faults(changed({key: address})) == [
        f"{key}: {left} stands for nothing: only {{host}} and {{port}} are each host's own"
    ]
    table, name = key.split(".")
    assert project(**{table: {name: address}}), "a plan in a history is past that"


def test_a_zone_that_the_worker_does_not_know_is_refused_even_without_windows() -> None:
    [fault] = faults(changed({"gate.zone": "Mars/Base"}))
    assert fault.startswith("gate.zone: this worker knows no time zone 'Mars/Base': write it like Europe/Berlin")
    assert isinstance(parsed(changed({"gate.zone": "Europe/Berlin"}).encode()), Project)
    assert project(gate={"zone": "Mars/Base"}), "a plan in a history is past that"


def test_an_unknown_project_is_told_the_known_ones(tmp_path: Path) -> None:
    for name in ("shop.toml", "blog.toml", "shop.example.toml", "notes.txt"):
        (tmp_path / name).write_text(EXAMPLE)
    with pytest.raises(Refused, match=r"there is no project 'shpo': .*; projects of this worker: blog, shop$"):
        Projects(tmp_path).load("shpo")


def test_a_project_whose_lane_is_that_of_anothers_rollback_is_refused_and_never_offered(tmp_path: Path) -> None:
    for name in ("shop", "shop-rollback", "rollback", "rollback-shop"):
        (tmp_path / f"{name}.toml").write_text(EXAMPLE)
    projects = Projects(tmp_path)
    with pytest.raises(Refused) as caught:
        projects.load("shop-rollback")
    assert str(caught.value) == (
        "shop-rollback.toml: no project can be named 'shop-rollback', for a rollback of shop runs as "
        "release-shop-rollback: rename its file"
    )
    with pytest.raises(Refused, match=r"projects of this worker: rollback, rollback-shop, shop$"):
        projects.load("shpo")
    assert "shop-rollback" in projects.names(), "the worker says at start what is wrong with it"
    assert projects.load("rollback") == projects.load("rollback-shop")


@pytest.mark.parametrize("name", ["../shop", "..", "", "shop.example", "a/b", "SHOP", "shop\0"])
def test_a_name_leads_nowhere_but_into_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "projects").mkdir()
    for place in (tmp_path, tmp_path / "projects"):
        (place / "shop.toml").write_text(EXAMPLE)
    (tmp_path / "projects" / "shop.example.toml").write_text(EXAMPLE)
    with pytest.raises(Refused, match="there is no project"):
        Projects(tmp_path / "projects").load(name)


def test_every_fault_is_named_at_once_with_its_path(tmp_path: Path) -> None:
    text = changed(
        {
            "gate.expirse_after": "1d",
            "gate.approvals": 5,
            "pipeline.finishes_within": "soon",
            "production.hosts": ["production-1", "-oProxyCommand=x"],
            "production.port": None,
            "forge.token": "0123456789abcdef",
        }
    )
    (tmp_path / "shop.toml").write_text(text)
    with pytest.raises(Refused) as caught:
        Projects(tmp_path).load("shop")
    assert str(caught.value).startswith("shop.toml: ")
    named = [line.partition(": ")[0] for line in caught.value.evidence]
    assert sorted(named) == sorted(
        [
            "forge.token",
            "pipeline.finishes_within",
            "production.hosts[1]",
            "production.port",
            "gate.expirse_after",
        ]
    )
    assert "gate.expirse_after: there is no such key" in str(caught.value)
    assert "production.port: is missing" in str(caught.value)
    assert "0123456789abcdef" not in f"{caught.value} {caught.value.evidence}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("artifact.scan", ["trivy", "image", "acme/shop:latest"], "artifact.scan[2]"),
        ("artifact.image", "acme/shop:latest", "artifact.image"),
        ("artifact.registry", "registry.example.net/x:latest", "artifact.registry"),
        ("project.runbook", "https://wiki.example.net/shop:latest", "project.runbook"),
        ("uat.environment", {"IMAGE": "acme/shop:latest"}, "uat.environment.IMAGE"),
        ("smoke_test.command", ["docker", "run", "acme/shop:latest@sha256:0"], "smoke_test.command[2]"),
        ("no_such_key", "acme/shop:latest", "no_such_key"),
    ],
)
def test_latest_is_refused_wherever_it_is_written(key: str, value: object, path: str) -> None:
    assert [line for line in faults(changed({key: value})) if line.startswith(f"{path}: ") and "names :latest" in line]


def test_what_is_no_toml_is_refused_with_its_place() -> None:
    assert faults(EXAMPLE + "\n[gate\n")[0].startswith("it is not TOML: ")
    assert "line" in faults(EXAMPLE + "\n[gate\n")[0]
    assert (
        faults("a = " + "[" * 100_000) == ["it is not TOML: maximum recursion depth exceeded"]
        or "TOML" in faults("a = " + "[" * 100_000)[0]
    )
    assert parsed(b"a = '\xff'") == ["byte 6 is not UTF-8: save the file as UTF-8"]


def test_an_unreadable_or_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(Refused, match="larger than 256 KiB"):
        Projects(tmp_path).load("huge")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(Refused, match="there is no project 'folder'"):
        Projects(tmp_path).load("folder")


def test_a_correction_counts_at_once(tmp_path: Path) -> None:
    projects = Projects(tmp_path)
    (tmp_path / "shop.toml").write_text("broken")
    with pytest.raises(Refused):
        projects.load("shop")
    (tmp_path / "shop.toml").write_text(EXAMPLE)
    assert projects.load("shop").project.project.name == "shop"


def one_line_each(found: Project | list[str]) -> None:
    if isinstance(found, list):
        assert found
        assert all(line and "\n" not in line and "\r" not in line for line in found)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_project_or_faults(content: bytes) -> None:
    one_line_each(parsed(content))


@given(at=st.integers(0, len(EXAMPLE)), cut=st.integers(0, 30), put=st.text(max_size=20))
@settings(max_examples=150, deadline=None)
def test_an_example_damaged_anywhere_is_a_project_or_faults(at: int, cut: int, put: str) -> None:
    one_line_each(parsed((EXAMPLE[:at] + put + EXAMPLE[at + cut :]).encode("utf-8", "surrogatepass")))


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 99999), st.text(max_size=12), st.sampled_from(["env:X", "a:latest"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(table=st.sampled_from(sorted(Project.model_fields)), key=st.integers(0, 30), value=VALUES)
@settings(max_examples=200, deadline=None)
def test_any_value_at_any_key_is_taken_or_named(table: str, key: int, value: object) -> None:
    tables = project_table()
    names = sorted(type(getattr(project(), table)).model_fields)
    tables[table] = {**tables.get(table, {}), names[key % len(names)]: value}
    if (toml := as_toml(tables)) is not None:
        one_line_each(parsed(toml.encode("utf-8", "replace")))
