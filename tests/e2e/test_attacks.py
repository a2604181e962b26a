"""Attacks on the gate of a real release, with real keys: each of them ends with production untouched."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

from deploy.demo.house import House
from runbook import names
from runbook.status import Outcome, Status
from tests.e2e.siege import Decision, Siege, as_signal, besieged, decided, view

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Attack = Callable[[Siege, Status], Decision]

ATTACKS: dict[str, tuple[Attack, str]] = {
    "a name that is on no list": (
        lambda siege, status: siege.approval(status, "mallory"),
        "mallory may not decide here",
    ),
    "a forged name without a signature": (
        lambda siege, status: {**siege.approval(status), "signature": None},
        "must be signed here",
    ),
    "a forged name under another listed key": (
        lambda siege, status: siege.approval(status, key="mallory"),
        "the key is not alice's",
    ),
    "a key that is listed nowhere": (
        lambda siege, status: siege.approval(status, key="zoe"),
        "the key is not in allowed_signers",
    ),
    "a key that was revoked": (
        lambda siege, status: siege.approval(status, "dave"),
        "the key was valid until 2020-01-01",
    ),
    "a key that is for something else": (
        lambda siege, status: siege.approval(status, "erin"),
        "may not sign for release-runbook, only for git",
    ),
    "a signature that was made for something else": (
        lambda siege, status: siege.approval(status, namespace="git"),
        "it was made for 'git'",
    ),
    "an approval of an earlier release": (
        lambda siege, _: siege.earlier_release,
        "is not the digest on show",
    ),
    "the signature of an earlier release": (
        lambda siege, status: {**siege.earlier_release, "digest": status.digest},
        "does not fit",
    ),
    "the approval of an earlier run of this release": (
        lambda siege, _: siege.earlier_run,
        "does not fit",
    ),
    "another's signature under one's own name": (
        lambda siege, status: {**siege.approval(status), "by": "bob"},
        "does not fit",
    ),
    "who asked for the release": (
        lambda siege, status: {**siege.approval(status), "by": "carol"},
        "carol may not decide here",
    ),
    "junk for a signature": (
        lambda siege, status: {**siege.approval(status), "signature": "AAAA"},
        "no SSH signature that can be read",
    ),
}


@pytest.fixture(scope="module")
def siege(house: House) -> Generator[Siege]:
    """A release waits at its gate for as long as the tests attack it; the last of them lets it through."""
    with besieged(house) as siege:
        siege.gate()
        asyncio.run(siege.prepare())
        yield siege


@pytest.mark.parametrize("attack", list(ATTACKS))
async def test_no_attack_passes_neither_as_an_update_nor_as_a_signal(siege: Siege, attack: str) -> None:
    make, why = ATTACKS[attack]
    play = await siege.play(siege.version)
    status = await play.at_gate()
    production, refused = await siege.production(), view(status).refused
    decision = make(siege, status)
    verdict = await decided(play, decision)
    assert not verdict.accepted
    assert why in verdict.why
    await play.handle.signal(names.APPROVE, as_signal(decision))
    after = await play.until(lambda status: view(status).refused == refused + 2)
    assert why in view(after).refusals[-1].why
    assert view(after).open
    assert view(after).approvals == []
    assert await siege.production() == production


async def test_a_suspicious_decision_was_told_to_on_call_with_its_sender_and_kept_in_the_ledger(siege: Siege) -> None:
    play = await siege.play(siege.version)
    assert not (await decided(play, siege.approval(await play.at_gate(), "mallory"))).accepted
    identity = play.client.identity
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{play.house.facts.admin}/on-call")).text
    assert "a suspicious decision was refused" in told
    assert "@" in identity
    rows = [row for row in play.outside.ledger() if row["outcome"] == "refused" and row["version"] == siege.version]
    assert {row["actor"] for row in rows} >= {"mallory", "alice"}


async def test_a_thousand_junk_signals_leave_the_gate_and_its_history_in_order(siege: Siege) -> None:
    play = await siege.play(siege.version)
    await play.at_gate()
    production = await siege.production()
    before = (await play.handle.describe()).history_length
    for number in range(0, 1000, 50):
        junk: list[Any] = [{"by": f"mallory{number}", "digest": "sha256:" + "0" * 64}, None, ["x"] * 20, number, "ja"]
        await asyncio.gather(*(play.handle.signal(names.APPROVE, junk[each % 5]) for each in range(50)))
    await play.until(lambda status: status.unheard + len(status.messages) >= 1000)
    added = (await play.handle.describe()).history_length - before
    assert added < 1000 * 4 + 500
    status = await play.at_gate()
    assert len(view(status).refusals) <= 20
    assert view(status).approvals == []
    assert await siege.production() == production


async def test_after_all_that_the_right_approval_still_counts_and_exactly_that_runs(siege: Siege) -> None:
    play = await siege.play(siege.version)
    status = await play.at_gate()
    verdict = await decided(play, siege.approval(status, "bob"))
    assert verdict.accepted, verdict.why
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    [given] = view(ended).approvals
    assert (given.by, given.sender) == ("bob", play.client.identity)
    for host in play.house.facts.having("production"):
        assert [each["image"] for each in play.outside.running(host)] == [play.image + status.digest]
