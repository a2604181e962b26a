"""The gate at a terminal: what it shows, what would be signed, by whom that can be done, and reminders."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from activities.signature import SignatureActivities
from console import begin, decide, gate
from console.exit_status import ExitStatus
from runbook import names, steps
from runbook.approval import lines_to_sign, text_of
from runbook.status import Status
from tests.operators import Operator, Said
from tests.projects import DIGEST, project
from tests.signing import Agent, Key, add, allowed_signers


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Key.make(tmp_path, "alice")


@pytest.fixture
async def strict(operator: Operator, key: Key, tmp_path: Path) -> Operator:
    """An operator whose project wants approvals signed, at the gate."""
    listed = allowed_signers(tmp_path / "allowed_signers", [f"alice {key.public}"])
    operator.crew.project = project(gate={"allowed_signers": str(listed)}, production={"soak": {"lasts": "0s"}})
    operator.crew.at(steps.VERIFY_SIGNATURE, SignatureActivities().verify, after=True)
    await at_the_gate(operator)
    return operator


async def at_the_gate(operator: Operator) -> Status:
    await operator.does(
        lambda: begin.release(operator.project, "1.4.0", commit=None, reason="", by="carol", wait=False)
    )
    return await operator.until_the_gate()


async def shown(operator: Operator, by: str = "alice", *, as_json: bool = False) -> Said:
    return await operator.does(lambda: gate.show(operator.project, by=by), json=as_json)


async def approved(operator: Operator, key: str | None) -> Said:
    return await operator.does(
        lambda: decide.judge(operator.project, names.APPROVE, digest=DIGEST, comment="", by="alice", key=key)
    )


async def test_it_prints_the_text_and_the_line_that_signs_it(strict: Operator) -> None:
    said = await shown(strict)
    status = await strict.until_the_gate()
    assert status.gate is not None
    assert said.status == ExitStatus.GOOD
    assert text_of(lines_to_sign(status, status.gate, names.APPROVE, "alice")) in said.out
    assert "ssh-keygen -Y sign -n release-runbook" in said.out
    assert len([line for line in said.out.splitlines() if "ssh-keygen -Y sign" in line]) == 1


async def test_the_line_does_what_it_says_in_a_shell(strict: Operator, key: Key, tmp_path: Path) -> None:
    """Its output is sent as it is, as a person would paste it into Temporal's UI."""
    command = (await shown(strict, as_json=True)).data["sign"]
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").symlink_to(key.path)
    printed = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "HOME": str(home)}, check=True, capture_output=True, text=True
    ).stdout
    assert printed.count("\n") == 1
    handle = strict.client.get_workflow_handle(f"release-{strict.project}")
    await handle.signal(names.APPROVE, json.loads(printed))
    await strict.until(lambda status: status.outcome is not None)
    assert strict.crew.count(steps.SWAP) == 3


@pytest.mark.parametrize("whose", ["file", "public half"])
async def test_a_key_in_a_file_or_in_the_agent_signs(strict: Operator, key: Key, tmp_path: Path, whose: str) -> None:
    assert (await approved(strict, None)).status == ExitStatus.REFUSED
    path = key.path if whose == "file" else key.path.with_suffix(".pub")
    said = await approved(strict, str(path))
    assert (said.status, said.out.splitlines()[-1]) == (0, "approve accepted: approved: promotion begins")


async def test_the_agent_s_only_key_signs(strict: Operator, key: Key, tmp_path: Path, agent: dict[str, str]) -> None:
    add(agent, key)
    key.path.unlink()
    said = await approved(strict, "agent")
    assert (said.status, said.out.splitlines()[-1]) == (0, "approve accepted: approved: promotion begins")


@pytest.fixture
def agent(tmp_path: Path) -> Any:
    """An agent that this process finds, as a login's would be."""
    before = os.environ.get("SSH_AUTH_SOCK")
    with Agent(tmp_path) as environment:
        os.environ["SSH_AUTH_SOCK"] = environment["SSH_AUTH_SOCK"]
        yield environment
    if before is None:
        del os.environ["SSH_AUTH_SOCK"]
    else:
        os.environ["SSH_AUTH_SOCK"] = before


async def test_of_several_keys_in_the_agent_one_must_be_named(
    strict: Operator, key: Key, tmp_path: Path, agent: dict[str, str]
) -> None:
    said = await approved(strict, "agent")
    assert "holds no key" in said.err
    for each in (key, Key.make(tmp_path, "work")):
        add(agent, each)
    said = await approved(strict, "agent")
    assert said.status == ExitStatus.REFUSED
    assert "the agent holds 2 keys (alice, work): say which, with --sign FILE.pub" in said.err


async def test_without_signatures_it_shows_the_gate_alone(operator: Operator) -> None:
    await at_the_gate(operator)
    said = await shown(operator)
    assert "1 approval of alice, bob" in said.out
    assert "ssh-keygen" not in said.out
    assert (await shown(operator, as_json=True)).data["text"] == ""


async def test_reminding_says_who_was_told(operator: Operator) -> None:
    await at_the_gate(operator)
    reminded = await operator.does(
        lambda: decide.instruct(operator.project, names.REMIND, reason="please", step=None, by="carol")
    )
    assert (reminded.status, reminded.out) == (0, "remind accepted: told: alice, bob\n")
    await operator.until(lambda _: bool(operator.crew.told("carol asks you to decide: please")))


async def test_where_no_gate_is_open_it_says_where_the_release_is(operator: Operator) -> None:
    hold = operator.crew.hold(steps.UAT)
    await operator.does(
        lambda: begin.release(operator.project, "1.4.0", commit=None, reason="", by="carol", wait=False)
    )
    await hold.reached.wait()
    said = await shown(operator)
    assert said.status == ExitStatus.REFUSED
    assert "the gate is not open" in said.err
    hold.let_go.set()
