"""Who may decide what at the gate: every rule by itself, and what was approved against what is about to run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.approval import departure
from runbook.decision import Judgement
from runbook.gate_rules import accepted, expired, refusal_of
from runbook.status import GateView, GivenDecision, Status
from tests.projects import COMMIT, DIGEST, OLD_DIGEST, image

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
PLAN = "sha256:" + "d" * 64


def gate(**fields: Any) -> GateView:
    told = {
        "image": image().reference,
        "digest": DIGEST,
        "commit": COMMIT,
        "plan": PLAN,
        "needed": 2,
        "approvers": ["alice", "bob", "dave"],
        "requester_may_approve": False,
        "opened": NOW,
        "expires": NOW + timedelta(days=1),
    }
    return GateView.model_validate({**told, **fields})


def status(view: GateView | None, **fields: Any) -> Status:
    told = {
        "project": "shop",
        "version": "1.4.0",
        "requested_by": "alice",
        "workflow_id": "release-shop",
        "run_id": "run",
        "started": NOW,
        "gate": view,
    }
    return Status.model_validate({**told, **fields})


def given_by(*people: str) -> list[GivenDecision]:
    return [GivenDecision(by=person, at=NOW) for person in people]


def decision(**fields: Any) -> Judgement:
    return Judgement.model_validate({"kind": "approve", "by": "bob", "digest": DIGEST, **fields})


@pytest.mark.parametrize(
    ("view", "sent", "why", "suspicious"),
    [
        (None, {}, "is not open yet", False),
        (gate(open=False), {}, "is closed", False),
        (gate(approvals=given_by("bob", "dave")), {"by": "alice", "kind": "reject"}, "is decided already", False),
        (gate(rejection=given_by("bob")[0]), {"by": "dave"}, "is decided already", False),
        (gate(), {"by": "mallory"}, "mallory may not decide here; these may: alice, bob, dave", True),
        (gate(), {"by": "mallory", "kind": "reject"}, "mallory may not decide here", True),
        (gate(), {"digest": OLD_DIGEST}, f"{OLD_DIGEST} is not the digest on show, {DIGEST}", True),
        (gate(), {"digest": OLD_DIGEST, "kind": "reject"}, "is not the digest on show", True),
        (gate(), {"by": "alice"}, "alice asked for this release", False),
        (gate(approvals=given_by("bob")), {}, "bob approved already", False),
        (gate(signed=True), {}, "must be signed here: approve shop --sign KEY", False),
        (gate(signed=True), {"signature": ""}, "must be signed here", False),
    ],
)
def test_what_does_not_count_is_refused_with_its_reason(
    view: GateView | None, sent: dict[str, Any], why: str, suspicious: bool
) -> None:
    refusal = refusal_of(status(view), decision(**sent))
    assert refusal is not None
    assert why in refusal.why
    assert refusal.suspicious is suspicious
    assert not refusal.accepted


@pytest.mark.parametrize(
    ("view", "sent"),
    [
        (gate(), {}),
        (gate(), {"by": "alice", "kind": "reject"}),
        (gate(requester_may_approve=True), {"by": "alice"}),
        (gate(approvals=given_by("dave")), {}),
        (gate(approvals=given_by("bob")), {"kind": "reject"}),
        (gate(signed=True), {"signature": "x"}),
        (gate(signed=True), {"kind": "reject"}),
    ],
)
def test_what_keeps_every_rule_is_left_to_time_and_signature(view: GateView, sent: dict[str, Any]) -> None:
    assert refusal_of(status(view), decision(**sent)) is None


def test_a_rollback_has_no_gate() -> None:
    refusal = refusal_of(status(None, kind="rollback"), decision())
    assert refusal is not None
    assert "the gate of a rollback doesn't exist" in refusal.why


@pytest.mark.parametrize(
    ("view", "kind", "why"),
    [
        (gate(needed=1), "approve", "approved: promotion begins"),
        (gate(needed=1, window="frozen"), "approve", "approved: promotion begins inside the release window"),
        (gate(needed=3, approvals=given_by("dave")), "approve", "approved; 1 more needed"),
        (gate(), "reject", "rejected: the release ends here"),
    ],
)
def test_what_counts_is_answered_with_what_follows(view: GateView, kind: str, why: str) -> None:
    verdict = accepted(view, decision(kind=kind))
    assert (verdict.accepted, verdict.why) == (True, why)


def test_what_came_too_late_is_told_since_when() -> None:
    assert expired(gate()).why == "the gate expired at 2026-11-23 15:00:00 UTC"


@given(
    by=st.sampled_from(["alice", "bob", "dave", "mallory", "carol"]),
    digest=st.sampled_from([DIGEST, OLD_DIGEST]),
    already=st.lists(st.sampled_from(["bob", "dave"]), unique=True, max_size=2),
    signature=st.sampled_from([None, "", "x"]),
    signed=st.booleans(),
    is_open=st.booleans(),
)
def test_nothing_that_breaks_any_rule_ever_counts(
    by: str, digest: str, already: list[str], signature: str | None, signed: bool, is_open: bool
) -> None:
    view = gate(approvals=given_by(*already), signed=signed, open=is_open)
    refusal = refusal_of(status(view), decision(by=by, digest=digest, signature=signature))
    fine = is_open and len(already) < 2 and by in {"bob", "dave"} and by not in already
    assert (refusal is None) is (fine and digest == DIGEST and (not signed or bool(signature)))


def test_only_exactly_what_was_approved_may_run() -> None:
    assert departure(gate(), image(), PLAN) == ""
    assert "was approved" in departure(gate(), image(digest=OLD_DIGEST), PLAN)
    assert "was approved" in departure(gate(), image("1.5.0"), PLAN)
    assert (
        departure(gate(), image(), "sha256:other")
        == f"plan sha256:other is about to be done, but plan {PLAN} was approved"
    )
