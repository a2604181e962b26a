"""Whatever command a page shows exists, with its options, and what it sends is understood."""

import itertools
import json
import re
import subprocess
import sys

import pytest
import typer.main
import yaml

import starter
from deploy.sandbox.__main__ import arguments
from runbook import names
from runbook.decision import Malformed, read_decision
from runbook.message import ReleaseOrder
from tests.docs.pages import PAGES, ROOT, blocks, name_of, of_program
from tests.servers import temporal_binary

DIGEST = "sha256:" + "a" * 64
MAKE = of_program("make")
STARTER = of_program("python", "starter.py")
MODULES = [(page, words) for page, words in of_program("python", "-m") if words[0].startswith("deploy")]
TEMPORAL = [
    (page, list(itertools.takewhile(lambda word: word != "|", words))) for page, words in of_program("temporal")
]

# Options of every command, which no command's own help lists.
EVERYWHERE = {"--address", "--output"}


def test_the_pages_show_commands_of_every_kind() -> None:
    assert len(MAKE) > 10
    assert len(STARTER) > 10
    assert len(MODULES) > 3
    assert len(TEMPORAL) > 5


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = {
        (page, word) for page, words in MAKE for word in words if re.fullmatch(r"[a-z]+", word) and word not in targets
    }
    assert unknown == set()


def test_the_targets_are_listed_by_make_alone() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert {"make setup", "make demo", "make sandbox", "make test", "make check"} <= set(
        re.findall(r"^make \w+", listed, re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("page", "words"), STARTER, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_the_starter_takes_every_command_with_its_options(page: str, words: list[str]) -> None:
    if "COMMAND" in words:
        return
    group = typer.main.get_command(starter.app)
    command = group.get_command(group.make_context("starter", [words[0]], resilient_parsing=True), words[0])  # type: ignore[attr-defined]  # typer types its group as a command
    assert command is not None, f"{page}: starter.py has no command {words[0]}"
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize(
    ("page", "words"), MODULES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_every_module_that_is_run_can_be_run(page: str, words: list[str]) -> None:
    assert (ROOT / f"{words[0].replace('.', '/')}.py").exists() or (ROOT / words[0].replace(".", "/")).is_dir(), page
    if words[0] == "deploy.sandbox":
        arguments().parse_args(words[1:])
    if words[0] == "deploy.ledger":
        done = subprocess.run(
            [sys.executable, "-m", *words, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{page}: {done.stderr}"


@pytest.mark.parametrize(
    ("page", "words"), TEMPORAL, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_temporal_has_every_command_and_option(page: str, words: list[str]) -> None:
    command = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    told = subprocess.run(
        [str(temporal_binary()), *command, "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert f"temporal {' '.join(command)}" in told, f"{page}: there is no such command"
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{re.escape(option)}\b", told) or option in EVERYWHERE, f"{page}: {command} has no {option}"


def test_what_the_pages_send_to_a_release_is_understood() -> None:
    decisions = 0
    for page, words in TEMPORAL:
        options = dict(itertools.pairwise(words))
        sent = options.get("--input", "").replace("sha256:…", DIGEST)
        if words[:2] == ["workflow", "signal"]:
            read = read_decision(options["--name"], [json.loads(sent)])
            assert not isinstance(read, Malformed), f"{page}: {read}"
            decisions += 1
        elif words[:2] == ["workflow", "start"]:
            order = ReleaseOrder.model_validate_json(sent)
            assert options["--workflow-id"] == names.lane(order.project)
            assert options["--type"] == names.RELEASE_WORKFLOW
            assert options["--task-queue"] == names.TASK_QUEUE
        elif words[:2] == ["workflow", "query"]:
            assert options["--type"] in {names.STATUS, names.BOARD}
    assert decisions >= 1


def test_every_search_attribute_that_is_named_is_ours() -> None:
    ours = {
        names.SEARCH_PROJECT,
        names.SEARCH_VERSION,
        names.SEARCH_STAGE,
        names.SEARCH_OUTCOME,
        names.SEARCH_NEEDS_PERSON,
    }
    created = {
        words[words.index("--name") + 1] for _, words in TEMPORAL if words[:2] == ["operator", "search-attribute"]
    }
    assert created == ours
    for page in PAGES:
        named = set(re.findall(r"\bRunbook(?!Workflow)[A-Z]\w+", page.read_text()))
        assert named <= ours, name_of(page)


def test_every_shell_block_is_shell() -> None:
    for page in PAGES:
        for block in blocks(page, "sh"):
            checked = subprocess.run(
                ["bash", "-n"], input=block, capture_output=True, text=True, timeout=30, check=False
            )
            assert checked.returncode == 0, f"{name_of(page)}: {checked.stderr}"


def test_the_compose_file_that_the_pages_use_is_there() -> None:
    used = {words[words.index("--file") + 1] for _, words in of_program("docker", "compose") if "--file" in words}
    assert used == {"deploy/compose.yaml"}
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    asked = [words[words.index("exec") + 1] for _, words in of_program("docker", "compose") if "exec" in words]
    assert set(asked) <= set(services)
