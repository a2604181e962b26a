"""Drift from release to release: left alone, changed by hand, told once, checked by a schedule, ended by the next release."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import docker
import httpx
import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus

from console.exit_status import ExitStatus
from deploy.demo.house import House
from deploy.sandbox.sandbox_facts import HostFacts
from runbook import names
from runbook.status import Outcome
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
async def issue(play: Play) -> AsyncGenerator[int]:
    """The related issue of the project, as long as the test lasts."""
    house, forge = play.house, play.house.facts.forge
    url = f"{forge.url}/api/v1/repos/{forge.owner}/{forge.name}/issues"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        token = {"Authorization": f"token {house.secret(forge.token_env)}"}
        made = (await client.post(url, json={"title": "Make checkout faster"}, headers=token)).raise_for_status()
    number = int(made.json()["number"])
    file = house.facts.projects / "shop.toml"
    as_it_was = file.read_text()
    file.write_text(as_it_was.replace("[project]\n", f"[project]\nrelated_issue = {number}\n", 1))
    yield number
    file.write_text(as_it_was)


async def released(play: Play) -> None:
    await play.start()
    await play.approve(await play.at_gate())
    status = await play.ended()
    assert status.outcome is Outcome.RELEASED, status.summary


async def drift(play: Play, *words: str) -> dict[str, Any]:
    """What `starter.py drift shop --json` answers, with the exit status that it ended with."""
    code, out, err = await play.house.run_starter("drift", "shop", *words, "--json")
    assert out, err
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert said.get("exit_status", code) == code
    return {**said, "exit_status": code}


async def in_production(play: Play) -> None:
    """Every host is as a release left it; an earlier test's is as good as one of its own."""
    if (await drift(play))["exit_status"] != ExitStatus.GOOD:
        await released(play)


def verdicts(said: dict[str, Any]) -> list[str]:
    return [host["verdict"] for host in said["hosts"]]


def engine(host: HostFacts) -> docker.APIClient:
    return docker.APIClient(base_url=f"unix://{host.engine_socket}", version="auto")


async def on_call(house: House) -> list[str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{house.facts.admin}/on-call")).json()
    return [each["title"] for each in told if "no longer what" in each["title"]]


async def test_what_hands_do_after_a_release_is_found_and_told_once(play: Play, issue: int) -> None:
    await released(play)
    before, production = len(await on_call(play.house)), play.house.facts.having("production")
    clean = await drift(play)
    assert (clean["exit_status"], verdicts(clean)) == (ExitStatus.GOOD, ["as_recorded"] * 3), clean

    await play.house.drift(production[0], "COLOUR", "swordfish")
    with contextlib.closing(engine(production[1])) as api:
        await asyncio.to_thread(api.restart, api.containers()[0]["Id"])
    found = await drift(play)
    assert found["exit_status"] == ExitStatus.DRIFTED
    assert verdicts(found) == ["drifted", "drifted", "as_recorded"]
    assert [each["kind"] for each in found["drifts"]] == ["env-file", "restarted"]
    assert "swordfish" not in json.dumps(found)
    assert len(await on_call(play.house)) == before + 1

    again = await drift(play)
    assert (again["exit_status"], again["new"]) == (ExitStatus.DRIFTED, [])
    assert len(await on_call(play.house)) == before + 1
    comments = await play.outside.forge(f"issues/{issue}/comments")
    assert [("Drift of shop" in comment["body"]) for comment in comments].count(True) == 1

    rows = [row for row in play.outside.ledger() if row["action"] == "host-drift"]
    assert [row["outcome"] for row in rows[-2:]] == ["found", "found"]
    assert not any(row["action"] in {"inspect-host", "plan-drift-check"} for row in play.outside.ledger())

    await released(Play(play.house, play.client, play.outside))
    ended = await drift(play)
    assert (ended["exit_status"], len(ended["gone"])) == (ExitStatus.GOOD, 2), ended
    [told] = [c["body"] for c in await play.outside.forge(f"issues/{issue}/comments") if "rift of shop" in c["body"]]
    assert "No more drift of shop" in told


async def test_a_host_that_is_away_is_unknown(play: Play) -> None:
    await in_production(play)
    first = play.house.facts.having("production")[0]
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        (await client.post(f"{first.admin}/down", json={})).raise_for_status()
        try:
            said = await drift(play)
        finally:
            (await client.post(f"{first.admin}/up", json={})).raise_for_status()
    assert said["exit_status"] == ExitStatus.UNKNOWN
    assert verdicts(said) == ["unknown", "as_recorded", "as_recorded"]


async def test_at_the_gate_production_is_as_it_was_left_and_in_promotion_it_is_no_wonder(play: Play) -> None:
    await in_production(play)
    await play.start()
    status = await play.at_gate()
    waiting = await drift(play)
    assert (waiting["exit_status"], waiting["under_way"]) == (ExitStatus.GOOD, ""), waiting
    await play.approve(status)
    before = len(await on_call(play.house))
    await play.until(lambda status: status.stage == "soak")
    said = await drift(play)
    assert (said["exit_status"], verdicts(said)) == (ExitStatus.GOING_ON, ["under_way"] * 3), said
    assert "a release is changing production as release-shop" in said["summary"]
    assert len(await on_call(play.house)) == before
    assert (await play.ended()).outcome is Outcome.RELEASED
    assert (await drift(play))["exit_status"] == ExitStatus.GOOD


async def test_a_rollback_by_hand_is_what_is_compared_with(play: Play) -> None:
    await released(play)
    await released(Play(play.house, play.client, play.outside))
    await play.house.starter("rollback", "shop", "--reason", "checkout fails", "--as", "bob", "--wait")
    said = await drift(play)
    assert (said["exit_status"], said["version"]) == (ExitStatus.GOOD, play.version), said


async def test_the_schedule_is_switched_on_fires_once_when_asked_and_is_switched_off(play: Play) -> None:
    await in_production(play)
    schedule = play.client.get_schedule_handle(names.drift_check("shop"))
    on = await drift(play, "--every", "1h")
    try:
        assert (on["exit_status"], on["schedule"]["every"]) == (ExitStatus.GOOD, "1 h")
        await play.house.temporal(["temporal", "schedule", "trigger", "--schedule-id", "drift-shop"])
        deadline = time.monotonic() + 60
        while not (actions := (await schedule.describe()).info.recent_actions):
            assert time.monotonic() < deadline, "the schedule never fired"
            await asyncio.sleep(0.1)
        fired = actions[0].action
        assert isinstance(fired, ScheduleActionExecutionStartWorkflow)
        run = play.client.get_workflow_handle(fired.workflow_id)
        report = await run.result()
        assert report["verdict"] == "as_recorded"
        assert (await run.describe()).status is WorkflowExecutionStatus.COMPLETED
    finally:
        off = await drift(play, "--off")
    assert (off["exit_status"], off["was_on"]) == (0, True)
    assert (await drift(play))["schedule"] is None


async def test_an_unknown_project_is_one_line(play: Play) -> None:
    assert "there is no project 'shopp'" in await play.refused("drift", "shopp")
    assert "give one of them" in await play.refused("drift", "shop", "--every", "1h", "--off")


async def test_a_temporal_that_is_away_is_one_line(play: Play) -> None:
    code, _, err = await play.house.run_starter("drift", "shop", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "Temporal does not answer at 127.0.0.1:1" in err
