"""The gate: what counts, what doesn't, and that nothing passes it by accident or by time."""

from datetime import timedelta
from typing import Any

import pytest

from activities.clients.histories import TemporalHistories
from activities.sender import SenderActivities
from runbook import names, steps
from runbook.status import GateView, Outcome, Status
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.workflows.conftest import ORDER, Handle, LaneOfTests
from tests.workflows.crew import never

APPROVE = {"decision": "approve", "by": "alice", "digest": DIGEST}
SECOND = timedelta(seconds=1)


def view(status: Status) -> GateView:
    assert status.gate is not None
    return status.gate


def gate(lane: LaneOfTests, **keys: Any) -> None:
    """Give the lane's project a gate of its own."""
    lane.crew.project = project(gate=keys)


async def stays_open(lane: LaneOfTests, handle: Handle) -> None:
    status = await lane.status(handle)
    assert view(status).open
    assert view(status).approvals == []
    assert not lane.crew.count(steps.PULL)


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ({"digest": OLD_DIGEST}, "is not the digest on show"),
        ({"by": "mallory"}, "mallory may not decide here"),
        ({"by": "carol"}, "carol may not decide here"),
        ({"by": "Alice"}, "Alice may not decide here"),
        ({"digest": DIGEST[:-1]}, "is not sha256: and 64 hexadecimal digits"),
        ({"digest": None}, "digest: "),
        ({"by": None}, "by: "),
    ],
)
async def test_what_is_not_exactly_right_does_not_count(lane: LaneOfTests, decision: dict[str, Any], why: str) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    verdict = await lane.decide(handle, {**APPROVE, **decision})
    assert not verdict.accepted
    assert why in verdict.why
    await handle.signal(
        names.APPROVE, {key: value for key, value in {**APPROVE, **decision}.items() if key != "decision"}
    )
    assert why in (await lane.status(handle)).messages[-1]
    await stays_open(lane, handle)
    assert (await lane.decide(handle, APPROVE)).accepted
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_a_decision_before_the_gate_opens_does_not_count(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.SMOKE_TEST)
    handle = await lane.start()
    await hold.reached.wait()
    verdict = await lane.decide(handle, APPROVE)
    assert (verdict.accepted, verdict.why) == (
        False,
        "the gate is not open yet: wait for it; the decision does not count",
    )
    await lane.approve(handle)
    hold.let_go.set()
    await lane.at_gate(handle)
    await stays_open(lane, handle)


async def test_who_asked_for_the_release_may_not_approve_it(lane: LaneOfTests) -> None:
    handle = await lane.start(ORDER.model_copy(update={"requested_by": "alice"}))
    await lane.at_gate(handle)
    verdict = await lane.decide(handle, APPROVE)
    assert (verdict.accepted, verdict.why) == (False, "alice asked for this release and may not approve it")
    await stays_open(lane, handle)
    assert (await lane.decide(handle, {**APPROVE, "by": "bob"})).accepted


async def test_who_asked_may_reject_it(lane: LaneOfTests) -> None:
    handle = await lane.start(ORDER.model_copy(update={"requested_by": "alice"}))
    await lane.at_gate(handle)
    assert (await lane.decide(handle, {**APPROVE, "decision": "reject"})).accepted
    assert (await lane.result(handle)).outcome is Outcome.REJECTED


async def test_who_asked_may_approve_where_the_project_allows_it(lane: LaneOfTests) -> None:
    gate(lane, requester_may_approve=True)
    handle = await lane.start(ORDER.model_copy(update={"requested_by": "alice"}))
    await lane.at_gate(handle)
    assert (await lane.decide(handle, APPROVE)).accepted
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_a_gate_that_nobody_could_pass_refuses_the_order(lane: LaneOfTests) -> None:
    gate(lane, approvers=["alice"])
    handle = await lane.start(ORDER.model_copy(update={"requested_by": "alice"}))
    status = await lane.until(handle, lambda status: status.outcome is not None)
    assert "only nobody could give one" in status.summary
    assert not lane.crew.count(steps.CI_GREEN)


async def test_two_of_three_approve_and_nobody_counts_twice(lane: LaneOfTests) -> None:
    gate(lane, approvers=["alice", "bob", "dave"], approvals=2)
    handle = await lane.start()
    await lane.at_gate(handle)
    first = await lane.decide(handle, APPROVE)
    assert (first.accepted, first.why) == (True, "approved; 1 more needed")
    again = await lane.decide(handle, APPROVE)
    assert (again.accepted, again.why) == (False, "alice approved already; another person is needed")
    await lane.approve(handle)
    await lane.sleep(60)
    status = await lane.status(handle)
    assert [approval.by for approval in view(status).approvals] == ["alice"]
    assert not lane.crew.count(steps.PULL)
    second = await lane.decide(handle, {**APPROVE, "by": "dave"})
    assert (second.accepted, second.why) == (True, "approved: promotion begins")
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    [recorded] = lane.crew.of(steps.RECORD)
    assert recorded.order.approvers == ["alice", "dave"]


async def test_a_rejection_by_one_ends_it_even_after_an_approval(lane: LaneOfTests) -> None:
    gate(lane, approvals=2)
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.approve(handle)
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "not today"})
    result = await lane.result(handle)
    assert (result.outcome, result.summary) == (Outcome.REJECTED, "rejected by bob: not today")
    assert not lane.crew.count(steps.PULL)


async def test_a_rejection_of_another_digest_or_by_somebody_else_changes_nothing(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.at_gate(handle)
    for wrong in ({"digest": OLD_DIGEST}, {"by": "mallory"}):
        assert not (await lane.decide(handle, {**APPROVE, "decision": "reject", **wrong})).accepted
    await stays_open(lane, handle)


async def test_what_comes_after_the_decision_is_refused(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.PULL)
    handle = await lane.approved()
    await hold.reached.wait()
    for decision in ("approve", "reject"):
        verdict = await lane.decide(handle, {**APPROVE, "decision": decision, "by": "bob"})
        assert (verdict.accepted, verdict.why) == (False, "the gate is closed; the decision does not count")
    hold.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_it_expires_exactly_then_and_promotes_nothing(lane: LaneOfTests) -> None:
    gate(lane, expires_after="7d", approvals=2)
    handle = await lane.start()
    shown = view(await lane.at_gate(handle))
    assert shown.expires - shown.opened == timedelta(days=7)
    await lane.approve(handle)
    await lane.pass_until(shown.expires - SECOND)
    assert view(await lane.status(handle)).open
    result = await lane.result(handle)
    status = await lane.status(handle)
    assert (result.outcome, result.summary) == (Outcome.EXPIRED, "the gate expired: not enough approvals in 7 d")
    assert status.finished is not None
    assert timedelta(0) <= status.finished - shown.expires < SECOND
    assert not view(status).open
    assert not {steps.PULL.name, steps.WAY_BACK.name, steps.SWAP.name} & set(lane.crew.performed())


async def test_an_approval_in_the_last_second_counts(lane: LaneOfTests) -> None:
    handle = await lane.start()
    await lane.pass_until(view(await lane.at_gate(handle)).expires - SECOND)
    await lane.approve(handle)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


@pytest.mark.parametrize(("early", "outcome"), [(5 * SECOND, Outcome.RELEASED), (-SECOND, Outcome.EXPIRED)])
async def test_what_is_heard_together_with_the_expiry_is_judged_by_when_it_came(
    idle_lane: LaneOfTests, early: timedelta, outcome: Outcome
) -> None:
    """No worker runs while both arrive: the next one finds signal and timer in one task. Nothing is skipped meanwhile."""
    lane = idle_lane
    gate(lane, remind_every=None)
    lane.crew.at(steps.IDENTIFY_SENDER, SenderActivities(TemporalHistories(lane.client)).identify)
    async with lane.working(max_cached_workflows=0):
        handle = await lane.start()
        expires = view(await lane.at_gate(handle)).expires
        await lane.sleep(60)  # until nothing is under way that the worker would leave behind
    await lane.pass_until(expires - early)
    await lane.approve(handle)
    await lane.pass_until(expires + 2 * SECOND)
    async with lane.working():
        assert (await lane.result(handle)).outcome is outcome
        assert bool(view(await lane.status(handle)).approvals) is (outcome is Outcome.RELEASED)
    assert bool(lane.crew.count(steps.PULL)) is (outcome is Outcome.RELEASED)


async def test_reminders_come_at_their_interval_and_name_who_has_not_decided(lane: LaneOfTests) -> None:
    gate(lane, approvers=["alice", "bob", "dave"], approvals=2, remind_every="4h", expires_after="1d")
    handle = await lane.start()
    shown = view(await lane.at_gate(handle))
    await lane.pass_until(shown.opened + timedelta(hours=5))
    await lane.approve(handle, by="bob")
    assert (await lane.result(handle)).outcome is Outcome.EXPIRED
    told = [done for done in lane.crew.of(steps.NOTIFY) if done.order.key.startswith("gate/")]
    assert [round((done.at - shown.opened) / timedelta(hours=1), 2) for done in told] == [0, 4, 8, 12, 16, 20]
    assert {done.order.to for done in told} == {"approvers"}
    assert "Still to decide: alice, bob, dave" in told[1].order.body
    assert "Still to decide: alice, dave" in told[2].order.body
    assert [done.order.people for done in told[1:3]] == [["alice", "bob", "dave"], ["alice", "dave"]]
    assert [done.order.title.startswith("Reminder: ") for done in told] == [False] + [True] * 5


async def test_without_reminders_people_are_told_once(lane: LaneOfTests) -> None:
    gate(lane, remind_every=None, expires_after="30d")
    handle = await lane.start()
    assert (await lane.result(handle)).outcome is Outcome.EXPIRED
    assert [notice.key for notice in lane.crew.notices if notice.key.startswith("gate")] == ["gate/0"]


async def test_a_notification_that_hangs_holds_up_neither_the_decision_nor_the_expiry(lane: LaneOfTests) -> None:
    lane.crew.at(steps.NOTIFY, never)
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.approve(handle)
    await lane.until(handle, lambda status: status.outcome is Outcome.RELEASED)


async def test_the_board_shows_what_is_authorized_and_exactly_what_to_send(lane: LaneOfTests) -> None:
    handle = await lane.start()
    shown = view(await lane.at_gate(handle))
    board = await handle.query(names.BOARD)
    for word in (shown.image, DIGEST, shown.commit, shown.plan, "> - Faster checkout", "0 of 1", "alice, bob"):
        assert word in board
    assert shown.image == f"registry.example.net/acme/shop:v1.4.0@{DIGEST}"
    payload = f'{{"by":"YOU","digest":"{DIGEST}","comment":""}}'
    assert f"\n{payload}\n" in board
    for name in (names.APPROVE, names.REJECT):
        command = f"temporal workflow signal --workflow-id release-shop --name {name} --input '{payload}'"
        assert f"\n{command}\n" in board
