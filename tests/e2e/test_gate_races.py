"""Whoever comes at the same time as something else: approvals, the expiry, and changes made after the approval."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from deploy.demo.house import House
from runbook import names
from runbook.status import Outcome
from tests.e2e.conftest import Play
from tests.e2e.siege import Siege, as_signal, besieged, decided, view

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def siege(house: House) -> Generator[Siege]:
    with besieged(house) as siege:
        yield siege


async def test_two_approvals_of_one_person_at_once_are_one(siege: Siege) -> None:
    siege.gate(approvals="2")
    play = await siege.play()
    await play.start()
    status = await play.at_gate()
    production, decision = await siege.production(), siege.approval(status)
    verdicts = await asyncio.gather(*(decided(play, decision) for _ in range(4)))
    assert sorted(verdict.accepted for verdict in verdicts) == [False, False, False, True]
    assert len(view(await play.at_gate()).approvals) == 1
    assert await siege.production() == production
    await siege.abort(play)


@pytest.mark.parametrize(("late", "outcome"), [(False, Outcome.RELEASED), (True, Outcome.EXPIRED)])
async def test_racing_the_expiry_the_time_of_arrival_decides(siege: Siege, late: bool, outcome: Outcome) -> None:
    """No worker runs when it comes: the next one finds approval and expiry side by side."""
    siege.gate(expires_after='"20s"')
    play = await siege.play()
    await play.start()
    status = await play.at_gate()
    production, expires = await siege.production(), view(status).expires
    decision = siege.approval(status)
    assert play.house.worker is not None
    await asyncio.to_thread(play.house.worker.stop)
    assert datetime.now(UTC) < expires - timedelta(seconds=1), "this machine is too slow for this race"
    if late:
        await until(expires + timedelta(seconds=1))
    await play.handle.signal(names.APPROVE, as_signal(decision))
    await until(expires + timedelta(seconds=2))
    await asyncio.to_thread(play.house.start_worker)
    ended = await play.ended()
    assert ended.outcome is outcome, ended.summary
    if late:
        assert await siege.production() == production


async def test_what_was_approved_runs_though_the_tag_is_moved_and_the_file_edited_and_both_are_told(
    siege: Siege,
) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=60)
    siege.gate(freezes=f'[{{ from = "2020-01-01", to = "{opens:%Y-%m-%dT%H:%M:%S}", reason = "a test" }}]')
    play = await siege.play()
    await play.start()
    status = await play.at_gate()
    production = await siege.production()
    assert (await decided(play, siege.approval(status))).accepted
    waiting = await play.until(lambda status: bool(status.pause))
    assert "frozen: a test; opens" in waiting.pause
    other = await move_tag(play)
    assert other != status.digest
    siege.gate(approvals="2")
    assert await siege.production() == production
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    for host in play.house.facts.having("production"):
        assert [each["image"] for each in play.outside.running(host)] == [play.image + status.digest]
    said = str(ended.messages)
    assert f"was moved to {other}" in said
    assert "the project's file was edited" in said
    [row] = [row for row in play.outside.ledger() if row["action"] == "drift" and row["version"] == play.version]
    assert other in row["detail"] + row["evidence"]


async def until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


async def move_tag(play: Play) -> str:
    """Somebody pushes other bytes under this version's tag; their digest."""
    registry = play.house.facts.registry
    base = f"http://{registry.address}/v2/{registry.image}/manifests"
    user = (registry.user, play.house.secret(registry.password_env))
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    async with httpx.AsyncClient(trust_env=False) as client:
        scope = {"scope": f"repository:{registry.image}:pull,push"}
        asked = await client.get(f"http://{registry.address}/token", params=scope, auth=user)
        client.headers["Authorization"] = f"Bearer {asked.raise_for_status().json()['token']}"
        older = (await client.get(f"{base}/v0.9.0", headers={"Accept": accept})).raise_for_status()
        kind = {"Content-Type": older.headers["content-type"]}
        put = await client.put(f"{base}/v{play.version}", content=older.content, headers=kind)
        return str(put.raise_for_status().headers["docker-content-digest"])
