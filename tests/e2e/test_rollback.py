"""Production returned: by a failed release, by people, with hosts, forge, worker and server going away meanwhile."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from runbook import names, steps
from runbook.status import Outcome, Status
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_an_unhealthy_second_host_returns_both_and_never_touches_the_third(play: Play) -> None:
    before = await serving(play)
    await break_on(play, 1)
    await released_to(play)
    status = await play.ended()
    assert status.outcome is Outcome.ROLLED_BACK, status.summary
    after = await serving(play)
    assert [each["image"] for each in after.values()] == [each["image"] for each in before.values()]
    third = play.house.facts.having("production")[2].name
    assert after[third] == before[third], "the third host was touched"
    assert len(await postmortems(play)) == 1
    assert await play.outside.releases(play.version) == []


async def test_killing_worker_and_server_during_a_rollback_changes_nothing_in_the_end(play: Play) -> None:
    before = await serving(play)
    await break_on(play, 1)
    await released_to(play)
    await play.until(lambda status: status.stage == "rollback")
    assert play.house.worker is not None
    play.house.worker.kill()
    await asyncio.to_thread(play.house.restart_temporal, 1.0)
    await asyncio.to_thread(play.house.start_worker)
    status = await play.ended()
    assert status.outcome is Outcome.ROLLED_BACK, status.summary
    assert images(await serving(play)) == images(before)
    assert len(await postmortems(play)) == 1


async def test_a_host_that_is_down_is_put_back_when_it_returns_and_holds_up_nobody(play: Play) -> None:
    before = await serving(play)
    hosts = play.house.facts.having("production")
    await break_on(play, 2)
    await released_to(play)
    await play.until(lambda status: row(status, steps.HEALTH.name, hosts[2].address).state == "running")
    await admin(play, f"{hosts[0].admin}/down", {})
    await play.until(lambda status: status.stage == "rollback")
    await until_serves(play, 1, before[hosts[1].name]["image"])
    running = play.outside.running(hosts[0])
    assert running[0]["image"].startswith(play.image), "the host that is down still runs the failed version"
    await admin(play, f"{hosts[0].admin}/up", {})
    status = await play.ended()
    assert status.outcome is Outcome.ROLLED_BACK, status.summary
    assert images(await serving(play)) == images(before)


async def test_a_forge_that_is_down_holds_up_no_host_and_gets_its_postmortem_later(play: Play) -> None:
    before = await serving(play)
    await break_on(play, 1)
    await released_to(play)
    await play.until(lambda status: row(status, steps.SWAP.name, production(play, 1)).state == "done")
    faults = play.house.facts.forge.faults
    await admin(play, faults, {"match": "* /api/*", "kind": "status", "status": 503})
    await until_serves(play, 0, before["production-1"]["image"])
    await until_serves(play, 1, before["production-2"]["image"])
    assert (await play.until(lambda _: True)).outcome is None
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.delete(faults)
    assert (await play.ended()).outcome is Outcome.ROLLED_BACK
    assert len(await postmortems(play)) == 1


async def test_a_cancellation_during_the_swap_of_the_second_host_returns_everything(play: Play) -> None:
    before = await serving(play)
    await released_to(play)
    second = production(play, 1)
    await play.until(lambda status: row(status, steps.SWAP.name, second).state == "running")
    await play.handle.cancel()
    status = await play.ended()
    assert status.outcome is Outcome.ROLLED_BACK, status.summary
    assert images(await serving(play)) == images(before)
    rows = [row for row in play.outside.ledger() if row["version"] == play.version]
    swapped = {row["place"] for row in rows if row["action"] == "swap" and row["outcome"] in {"done", "cancelled"}}
    assert swapped == {row["place"] for row in rows if row["action"] == "put-back"} == {production(play, 0), second}


async def test_a_release_after_one_that_was_terminated_in_its_swap_repairs_it(play: Play) -> None:
    await released_to(play)
    second = production(play, 1)
    await play.until(lambda status: row(status, steps.SWAP.name, second).state == "running")
    await play.handle.terminate("the laptop died")
    again = Play(play.house, play.client, play.outside)
    commit = await again.start()
    await again.approve(await again.at_gate())
    assert (await again.ended()).outcome is Outcome.RELEASED
    await again.assert_one_of_everything(commit)


async def test_by_hand_production_returns_to_a_named_version_and_to_the_last_good_one(play: Play) -> None:
    first = play.version
    await released_to(play)
    await play.ended()
    later = Play(play.house, play.client, play.outside)
    await released_to(later)
    assert (await later.ended()).outcome is Outcome.RELEASED
    # Temporal lists what has ended a moment after it did.
    async with asyncio.timeout(10):
        while later.version not in (listed := await play.house.starter("rollback", "shop", "--list")):
            await asyncio.sleep(0.2)
    assert first in listed
    await play.house.starter("rollback", "shop", "--reason", "checkout fails", "--as", "bob", "--wait")
    for host in play.house.facts.having("production"):
        assert await play.outside.answer(host) == f"v{first}"
    await play.house.starter(
        "rollback", "shop", "--to", later.version, "--reason", "it was not that", "--as", "bob", "--wait"
    )
    for host in play.house.facts.having("production"):
        assert await play.outside.answer(host) == f"v{later.version}"


async def test_roll_back_is_sent_to_the_release_that_holds_the_lane(play: Play) -> None:
    before = await serving(play)
    with soaking(play, "10m"):
        await released_to(play)
        await play.until(lambda status: status.stage == "soak")
    said = await play.house.starter("rollback", "shop", "--reason", "checkout fails", "--as", "bob")
    assert names.ROLL_BACK in said.replace("-", "_")
    status = await play.ended()
    assert status.outcome is Outcome.ROLLED_BACK
    assert "checkout fails" in status.summary
    assert images(await serving(play)) == images(before)


@contextmanager
def soaking(play: Play, lasts: str) -> Generator[None]:
    """A release that is planned meanwhile is watched for so long."""
    file = play.house.facts.projects / "shop.toml"
    before = file.read_text()
    assert 'lasts = "3s"' in before
    file.write_text(before.replace('lasts = "3s"', f'lasts = "{lasts}"'))
    try:
        yield
    finally:
        file.write_text(before)


async def released_to(play: Play) -> None:
    """Started and approved: promotion begins."""
    await play.start()
    await play.approve(await play.at_gate())


async def break_on(play: Play, number: int) -> None:
    """This version is not healthy on that production host."""
    for index, host in enumerate(play.house.facts.having("production")):
        await play.house.drift(host, "BROKEN_VERSIONS", f"v{play.version}" if index == number else "none")


async def serving(play: Play) -> dict[str, dict[str, Any]]:
    """What each production host runs: its one container's image and since when."""
    found: dict[str, dict[str, Any]] = {}
    for host in play.house.facts.having("production"):
        running = play.outside.running(host)
        assert len(running) == 1, (host.name, running)
        found[host.name] = {"image": running[0]["image"], "since": play.outside.started(host)}
    return found


def images(found: dict[str, dict[str, Any]]) -> list[str]:
    """Which version runs where; a container made anew names its image by digest where a hand-made one did not."""
    return [each["image"].partition("@")[0] for each in found.values()]


async def until_serves(play: Play, number: int, image: str) -> None:
    host = play.house.facts.having("production")[number]
    for _ in range(600):
        running = play.outside.running(host)
        if [each["image"] for each in running] == [image]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{host.name} runs {running}, not {image}")


async def postmortems(play: Play) -> list[Any]:
    return [issue for issue in await play.outside.postmortems() if play.version in f"{issue['title']} {issue['body']}"]


def production(play: Play, number: int) -> str:
    return play.house.facts.having("production")[number].address


def row(status: Status, name: str, host: str) -> Any:
    return next(each for each in status.rows if each.name == name and each.host == host)


async def admin(play: Play, url: str, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        (await client.post(url, json=body)).raise_for_status()
