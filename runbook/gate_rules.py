"""Who may decide what at the gate: every rule that needs nothing but the status."""

from runbook import names
from runbook.decision import Judgement, Verdict
from runbook.status import GateView, Status


def refusal_of(status: Status, judgement: Judgement) -> Verdict | None:
    """Why this decision does not count; None where only its time and its signature are left to be judged."""
    view = status.gate
    if view is None or not view.open:
        return _refused(f"the gate {_absence(status)}; the decision does not count")
    if view.is_decided:
        return _refused("the gate is decided already")
    if judgement.by not in view.approvers:
        return _suspicious(f"{judgement.by} may not decide here; these may: {', '.join(view.approvers)}")
    if judgement.digest != view.digest:
        return _suspicious(f"{judgement.digest} is not the digest on show, {view.digest}")
    return _refused_approval(status, view, judgement) if judgement.kind == names.APPROVE else None


def expired(view: GateView) -> Verdict:
    """The answer to what came too late."""
    return _refused(f"the gate expired at {view.expires:%Y-%m-%d %H:%M:%S} UTC")


def accepted(view: GateView, judgement: Judgement) -> Verdict:
    """The answer to what counts, before it is counted."""
    if judgement.kind == names.REJECT:
        return Verdict(accepted=True, why="rejected: the release ends here")
    missing = view.needed - len(view.approvals) - 1
    if missing:
        return Verdict(accepted=True, why=f"approved; {missing} more needed")
    when = " inside the release window" if view.window else ""
    return Verdict(accepted=True, why=f"approved: promotion begins{when}")


def _refused_approval(status: Status, view: GateView, judgement: Judgement) -> Verdict | None:
    if judgement.by == status.requested_by and not view.requester_may_approve:
        return _refused(f"{judgement.by} asked for this release and may not approve it")
    if judgement.by in [approval.by for approval in view.approvals]:
        return _refused(f"{judgement.by} approved already; another person is needed")
    if view.signed and not judgement.signature:
        return _refused(
            f"an approval must be signed here: approve {status.project} --sign KEY, or see what gate {status.project} prints"
        )
    return None


def _absence(status: Status) -> str:
    if status.kind == "rollback":
        return "of a rollback doesn't exist"
    return "is not open yet: wait for it" if status.gate is None else "is closed"


def _refused(why: str) -> Verdict:
    return Verdict(accepted=False, why=why)


def _suspicious(why: str) -> Verdict:
    return Verdict(accepted=False, why=why, suspicious=True)
