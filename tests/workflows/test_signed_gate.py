"""Approvals with signatures, made by a real ssh-keygen and verified as the worker verifies them."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook import names, steps
from runbook.status import GateView, Outcome, Status
from tests.workflows.conftest import LaneOfTests
from tests.workflows.signed import Signers, as_signal

SECOND = timedelta(seconds=1)


def view(status: Status) -> GateView:
    assert status.gate is not None
    return status.gate


@pytest.fixture
def signers(lane: LaneOfTests, tmp_path: Path) -> Signers:
    return Signers(lane, tmp_path)


async def test_a_signed_approval_passes_and_its_key_is_kept(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    decision = signers.approval(await lane.at_gate(handle))
    verdict = await lane.decide(handle, decision)
    assert verdict.accepted, verdict.why
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    status = await lane.status(handle)
    [given] = view(status).approvals
    assert given.signature == decision["signature"]
    assert given.key.startswith("ssh-ed25519 SHA256:")
    assert f"alice (signed with {given.key}" in await handle.query(names.BOARD)


async def test_a_signal_is_judged_as_the_update_is(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    status = await lane.at_gate(handle)
    name, wrong = as_signal(signers.approval(status, key="mallory"))
    await handle.signal(name, wrong)
    refused = await lane.until(handle, lambda status: view(status).refused == 1)
    assert "does not prove that alice approved" in view(refused).refusals[0].why
    name, right = as_signal(signers.approval(status))
    await handle.signal(name, right)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_without_a_signature_an_approval_is_refused_and_told_what_to_do(
    lane: LaneOfTests, signers: Signers
) -> None:
    handle = await lane.start()
    status = await lane.at_gate(handle)
    for signature in (None, ""):
        verdict = await lane.decide(handle, {**signers.approval(status), "signature": signature})
        assert not verdict.accepted
        assert not verdict.suspicious
        assert "must be signed here: approve shop --sign KEY, or see what gate shop prints" in verdict.why
    assert not lane.crew.count(steps.VERIFY_SIGNATURE)


async def test_a_rejection_needs_no_signature_but_a_wrong_one_is_refused(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    status = await lane.at_gate(handle)
    wrong = await lane.decide(handle, signers.approval(status, decision="reject", key="mallory"))
    assert (wrong.accepted, wrong.suspicious) == (False, True)
    plain = {"decision": "reject", "by": "bob", "digest": view(status).digest, "comment": "not today"}
    assert (await lane.decide(handle, plain)).accepted
    assert (await lane.result(handle)).summary == "rejected by bob: not today"


async def test_a_signature_for_a_rejection_is_none_for_an_approval(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    rejection = signers.approval(await lane.at_gate(handle), decision="reject")
    verdict = await lane.decide(handle, {**rejection, "decision": "approve"})
    assert (verdict.accepted, verdict.suspicious) == (False, True)


async def test_an_approval_that_came_in_time_counts_though_its_signature_took_longer(
    lane: LaneOfTests, signers: Signers
) -> None:
    hold = lane.crew.hold(steps.VERIFY_SIGNATURE)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    await lane.pass_until(view(status).expires - SECOND)
    name, payload = as_signal(signers.approval(status))
    await handle.signal(name, payload)
    await hold.reached.wait()
    await lane.pass_until(view(status).expires + SECOND)
    late = await lane.decide(handle, signers.approval(status, by="bob"))
    assert (late.accepted, "expired at" in late.why) == (False, True)
    assert (await lane.status(handle)).outcome is None
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert [given.by for given in view(await lane.status(handle)).approvals] == ["alice"]


async def test_a_wrong_signature_does_not_keep_the_gate_open_beyond_its_expiry(
    lane: LaneOfTests, signers: Signers
) -> None:
    hold = lane.crew.hold(steps.VERIFY_SIGNATURE)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    await lane.pass_until(view(status).expires - SECOND)
    name, payload = as_signal(signers.approval(status, key="mallory"))
    await handle.signal(name, payload)
    await hold.reached.wait()
    await lane.pass_until(view(status).expires + SECOND)
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.EXPIRED
    assert not lane.crew.count(steps.PULL)


async def test_of_two_approvals_looked_into_at_once_one_counts_where_one_is_needed(
    lane: LaneOfTests, signers: Signers
) -> None:
    hold = lane.crew.hold(steps.VERIFY_SIGNATURE)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    racing = [asyncio.create_task(lane.decide(handle, signers.approval(status, by))) for by in ("alice", "bob")]
    await lane.until(handle, lambda _: lane.crew.count(steps.VERIFY_SIGNATURE) == 2)
    hold.let_go.set()
    verdicts = await asyncio.gather(*racing)
    assert sorted(verdict.accepted for verdict in verdicts) == [False, True]
    assert next(verdict.why for verdict in verdicts if not verdict.accepted).startswith("the gate is ")
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert len(view(await lane.status(handle)).approvals) == 1


async def test_one_person_twice_at_once_counts_once(lane: LaneOfTests, signers: Signers) -> None:
    signers.gate(approvals=2)
    hold = lane.crew.hold(steps.VERIFY_SIGNATURE)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    racing = [asyncio.create_task(lane.decide(handle, signers.approval(status))) for _ in range(2)]
    await lane.until(handle, lambda _: lane.crew.count(steps.VERIFY_SIGNATURE) == 2)
    hold.let_go.set()
    verdicts = await asyncio.gather(*racing)
    assert sorted(verdict.accepted for verdict in verdicts) == [False, True]
    assert "alice approved already" in str([verdict.why for verdict in verdicts])
    assert len(view(await lane.status(handle)).approvals) == 1
    assert (await lane.decide(handle, signers.approval(status, "bob"))).accepted
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_a_key_taken_back_after_the_approval_stops_the_release_before_production(
    lane: LaneOfTests, signers: Signers
) -> None:
    hold = lane.crew.hold(steps.WAY_BACK)
    handle = await lane.start()
    assert (await lane.decide(handle, signers.approval(await lane.at_gate(handle)))).accepted
    await hold.reached.wait()
    signers.list(bob="", dave="")
    hold.let_go.set()
    result = await lane.result(handle)
    assert result.outcome is Outcome.ABORTED
    assert "the approval of alice no longer holds" in result.summary
    assert "not in allowed_signers" in result.summary
    assert not lane.crew.count(steps.SWAP)


async def test_every_approval_is_verified_again_right_before_production(lane: LaneOfTests, signers: Signers) -> None:
    signers.gate(approvals=2)
    handle = await lane.start()
    status = await lane.at_gate(handle)
    for by in ("alice", "dave"):
        assert (await lane.decide(handle, signers.approval(status, by))).accepted
    await lane.result(handle)
    assert [done.order.approver for done in lane.crew.of(steps.VERIFY_SIGNATURE)] == ["alice", "dave", "alice", "dave"]
    began = [line for line in lane.crew.happened if line.startswith("began ")]
    last_proof = max(index for index, line in enumerate(began) if line == "began verify-signature")
    assert last_proof < min(index for index, line in enumerate(began) if line.startswith("began swap"))
    assert last_proof > max(index for index, line in enumerate(began) if line.startswith("began pull"))


async def test_a_list_that_can_t_be_read_counts_nothing_and_says_so(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    status = await lane.at_gate(handle)
    signers.file.write_text("alice nonsense\n")
    verdict = await lane.decide(handle, signers.approval(status))
    assert (verdict.accepted, verdict.suspicious) == (False, False)
    assert "could not be checked, send it again when that is mended" in verdict.why
    assert "line 1" in verdict.why
    signers.list(alice="")
    assert (await lane.decide(handle, signers.approval(status))).accepted
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_the_board_tells_how_to_sign(lane: LaneOfTests, signers: Signers) -> None:
    handle = await lane.start()
    shown = view(await lane.at_gate(handle))
    board = await handle.query(names.BOARD)
    assert shown.signed
    assert f".venv/bin/python starter.py approve shop --digest {shown.digest} --sign KEY" in board
    assert ".venv/bin/python starter.py gate shop" in board
    assert f"each signed with a key of {signers.file}" in board


@pytest.mark.parametrize("junk", ["AAAA", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "…"])
async def test_junk_for_a_signature_is_refused_as_such(lane: LaneOfTests, signers: Signers, junk: Any) -> None:
    handle = await lane.start()
    status = await lane.at_gate(handle)
    verdict = await lane.decide(handle, {**signers.approval(status), "signature": junk})
    assert not verdict.accepted
    assert "no SSH signature that can be read" in verdict.why
