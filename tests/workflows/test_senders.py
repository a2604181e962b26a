"""Who really sent a decision, refusals that are kept, and on-call told of the suspicious ones."""

from datetime import timedelta
from typing import Any

from activities.clients.histories import TemporalHistories
from activities.sender import SenderActivities
from runbook import names, steps
from runbook.drift import FoundDrift
from runbook.status import GateView, Outcome, Status
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import failing

APPROVE: dict[str, Any] = {"decision": "approve", "by": "alice", "digest": DIGEST}
FORGED: list[dict[str, Any]] = [{**APPROVE, "by": "mallory"}, {**APPROVE, "digest": OLD_DIGEST}]


def view(status: Status) -> GateView:
    assert status.gate is not None
    return status.gate


def alarms(lane: LaneOfTests) -> list[str]:
    return [notice.body for notice in lane.crew.notices if notice.key.startswith("suspicious/")]


async def test_the_recorded_identity_stands_beside_the_claimed_name(lane: LaneOfTests) -> None:
    lane.crew.at(steps.IDENTIFY_SENDER, SenderActivities(TemporalHistories(lane.client)).identify)
    handle = await lane.approved()
    await lane.result(handle)
    status = await lane.status(handle)
    [given] = view(status).approvals
    assert given.sender == lane.client.identity
    assert f"alice (sent by {lane.client.identity})" in await handle.query(names.BOARD)
    [row] = [entry for entry in lane.crew.kept("approve") if entry.outcome == "sent"]
    assert (row.actor, row.detail) == ("alice", f"{lane.client.identity}, says Temporal's history")


async def test_it_is_the_sender_of_that_very_message(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.REJECT, {"by": "nobody"})
    await handle.signal(names.APPROVE, "junk")
    await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
    await lane.result(handle)
    [asked] = [done.order for done in lane.crew.of(steps.IDENTIFY_SENDER)]
    assert (asked.message, asked.name, asked.number) == ("signal", "approve", 2)


async def test_an_update_is_known_by_its_id(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.execute_update(names.DECIDE, APPROVE, id="this-one")
    await lane.result(handle)
    [asked] = [done.order for done in lane.crew.of(steps.IDENTIFY_SENDER)]
    assert (asked.message, asked.update_id) == ("update", "this-one")


async def test_a_history_that_can_t_be_read_holds_nothing_up(lane: LaneOfTests) -> None:
    lane.crew.at(steps.IDENTIFY_SENDER, failing(Cause.UNREACHABLE, "away"))
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert "identify-sender: away" in str((await lane.status(handle)).messages)


async def test_refusals_are_kept_on_the_board_and_in_the_ledger(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    for forged in FORGED:
        assert (await lane.decide(handle, forged)).suspicious
    honest = await lane.decide(handle, {**APPROVE, "by": "carol"})
    assert not honest.accepted
    board = await handle.query(names.BOARD)
    assert "Refused: 3" in board
    assert "⚠ approve by mallory" in board
    await lane.decide(handle, APPROVE)
    await lane.result(handle)
    refused = [(entry.actor, entry.outcome) for entry in lane.crew.kept("approve") if entry.outcome == "refused"]
    assert refused == [("mallory", "refused"), ("alice", "refused"), ("carol", "refused")]
    assert "Refused: 3" in await handle.query(names.BOARD)


async def test_on_call_is_told_of_the_first_suspicious_one_with_its_sender(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.decide(handle, FORGED[0])
    await lane.until(handle, lambda _: bool(alarms(lane)))
    [body] = alarms(lane)
    assert "approve in the name of mallory was refused: mallory may not decide here" in body
    assert "sent by decide@desk" in body
    [refusal] = view(await lane.status(handle)).refusals
    assert refusal.sender == "decide@desk"


async def test_what_is_only_wrong_alarms_nobody(lane: LaneOfTests) -> None:
    lane.crew.project = project(gate={"approvers": ["alice", "bob", "carol"]})
    handle = await lane.start()
    await lane.at_gate(handle)
    for harmless in ({**APPROVE, "by": "carol"}, {"decision": "approve"}, "junk"):
        assert not (await lane.decide(handle, harmless)).suspicious
    await lane.decide(handle, APPROVE)
    await lane.result(handle)
    assert alarms(lane) == []


async def test_of_many_suspicious_ones_on_call_hears_every_ten_minutes(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    for _ in range(15):
        await handle.signal(names.APPROVE, {"by": "mallory", "digest": DIGEST})
    await lane.sleep(timedelta(minutes=11))
    await handle.signal(names.APPROVE, {"by": "mallory", "digest": DIGEST})
    await lane.until(handle, lambda _: len(alarms(lane)) == 2)
    assert "more since" not in alarms(lane)[0]
    assert "and 14 more since the last notice" in alarms(lane)[1]
    assert view(await lane.status(handle)).refused == 16


async def test_somebody_can_have_the_approvers_reminded(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    asked = {"decision": "remind", "by": "carol", "reason": "I am off, please look"}
    verdict = await lane.decide(handle, asked)
    assert (verdict.accepted, verdict.why) == (True, "told: alice, bob")
    again = await lane.decide(handle, asked)
    assert (again.accepted, again.why) == (False, "the approvers were reminded less than a minute ago")
    await lane.sleep(61)
    await handle.signal(names.REMIND, {"by": "carol"})
    await lane.until(handle, lambda _: len(lane.crew.told("carol asks you to decide")) == 2)
    [first, _] = lane.crew.told("carol asks you to decide")
    assert first.to == "approvers"
    assert "carol asks you to decide: I am off, please look" in first.body
    assert "Still to decide: alice, bob" in first.body
    await lane.decide(handle, APPROVE)
    await lane.result(handle)


async def test_nobody_is_reminded_where_nobody_is_waited_for(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.UAT)
    handle = await lane.start()
    await hold.reached.wait()
    verdict = await lane.decide(handle, {"decision": "remind", "by": "carol"})
    assert (verdict.accepted, verdict.why) == (False, "the gate is not open: nobody is waited for")
    hold.let_go.set()


async def test_what_changed_since_the_approval_is_reported_and_changes_nothing(lane: LaneOfTests) -> None:
    moved = f"registry.example.net/acme/shop:v1.4.0 was moved to {OLD_DIGEST} after the approval"
    lane.crew.at(steps.DRIFT, lambda _: _found(FoundDrift(differences=[moved], summary=moved)))
    handle = await lane.approved()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert set(lane.crew.fleet.values()) == {DIGEST}
    assert moved in str((await lane.status(handle)).messages)
    assert moved in await handle.query(names.BOARD)
    [notice] = [notice for notice in lane.crew.notices if notice.key == "drift"]
    assert moved in notice.body


async def _found(finding: Any) -> Any:
    return finding
