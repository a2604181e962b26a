"""Checks who signed an approval: a signature that is wrong is found, a list that can't be read is a trouble."""

from pathlib import Path

from activities.binding import performs
from activities.clients.signature import Checked, check
from activities.clients.signers import AllowedSigners
from activities.heartbeat import in_thread
from runbook import steps
from runbook.approval import NAMESPACE, SignatureToVerify, VerifiedSignature, armored


class SignatureActivities:
    @performs(steps.VERIFY_SIGNATURE)
    async def verify(self, order: SignatureToVerify) -> VerifiedSignature:
        """Raises Refused when the allowed_signers file can't be read."""
        checked = await in_thread(_checked, order)
        if checked.objection:
            why = f"the signature does not prove that {order.approver} approved: {checked.objection}"
            return VerifiedSignature(ok=False, why=why, key=checked.key, summary=why[:149], evidence=_evidence(checked))
        why = f"signed by {order.approver} with {checked.key}"
        return VerifiedSignature(ok=True, why=why, key=checked.key, summary=why[:149], evidence=_evidence(checked))


def _checked(order: SignatureToVerify) -> Checked:
    allowed = AllowedSigners.read(Path(order.allowed_signers))
    return check(
        order.text,
        armored(order.signature),
        namespace=NAMESPACE,
        signer=order.approver,
        allowed=allowed,
        at=order.at,
    )


def _evidence(checked: Checked) -> list[str]:
    return [f"key {checked.key}"] if checked.key else []
