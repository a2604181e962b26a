"""Signing at the starter: what comes out is what the worker accepts, and only for what was on show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.signature import SignatureActivities
from console.refusal import Refusal
from console.signing import signed
from runbook.approval import SignatureToVerify, approval_lines, text_of
from runbook.message import ReleaseRef
from runbook.status import GateView, Status
from tests.activities.performing import perform
from tests.projects import COMMIT, DIGEST, image
from tests.signing import Key, allowed_signers, need_openssh

NOW = datetime.now(UTC).replace(microsecond=0)
GATE = GateView(
    image=image().reference,
    digest=DIGEST,
    commit=COMMIT,
    plan="sha256:" + "d" * 64,
    needed=1,
    approvers=["alice"],
    requester_may_approve=False,
    opened=NOW,
    expires=NOW + timedelta(days=1),
)
STATUS = Status(
    project="shop",
    version="1.4.0",
    requested_by="carol",
    workflow_id="release-shop",
    run_id="run-1",
    started=NOW,
    gate=GATE,
)


async def is_accepted(folder: Path, key: Key, signature: str, *, decision: str = "approve") -> bool:
    """As the worker judges it, for this release at this gate."""
    about = {"project": "shop", "version": "1.4.0", "digest": DIGEST, "plan": GATE.plan, "run": "run-1"}
    ref = ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release="run-1", epoch=1, requested_by="carol"
    )
    order = SignatureToVerify(
        ref=ref,
        allowed_signers=str(allowed_signers(folder / "allowed", [f"alice {key.public}"])),
        approver="alice",
        text=text_of(approval_lines(**about, decision=decision, approver="alice", expires=GATE.expires)),
        signature=signature,
        at=NOW,
    )
    return (await perform(SignatureActivities().verify, order)).ok


async def test_the_worker_accepts_what_the_starter_signs_and_nothing_else_of_it(tmp_path: Path) -> None:
    key = Key.make(tmp_path, "alice")
    signature = signed(STATUS, GATE, "approve", "alice", str(key.path))
    assert await is_accepted(tmp_path, key, signature)
    assert not await is_accepted(tmp_path, key, signature, decision="reject")
    another = STATUS.model_copy(update={"run_id": "run-2"})
    assert not await is_accepted(tmp_path, key, signed(another, GATE, "approve", "alice", str(key.path)))


def test_a_key_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    need_openssh()
    with pytest.raises(Refusal, match="ssh-keygen would not sign with") as refusal:
        signed(STATUS, GATE, "approve", "alice", str(tmp_path / "nowhere"))
    assert "\n" not in str(refusal.value)
