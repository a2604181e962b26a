"""What an approver signs: one text that names everything the approval is about, and the messages of its verification."""

import re
from datetime import UTC, datetime

from runbook.identifier import HostPath, Person
from runbook.image import Image
from runbook.message import Finding, Order
from runbook.status import GateView, Status

NAMESPACE = "release-runbook"
"""The namespace of the SSH signature: one made for git or for a file is worth nothing here."""

_FIRST_LINE = "release-runbook approval 1"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_NOTHING = re.compile(r"-----(?:BEGIN|END) SSH SIGNATURE-----|\\[nr]|\s")


def approval_lines(
    *, project: str, version: str, digest: str, plan: str, run: str, decision: str, approver: str, expires: datetime
) -> list[str]:
    """The lines of the text, whose form the first one numbers. None of them can hold a line break: all have a form."""
    return [
        _FIRST_LINE,
        f"project: {project}",
        f"version: {version}",
        f"digest: {digest}",
        f"plan: {plan}",
        f"run: {run}",
        f"decision: {decision}",
        f"approver: {approver}",
        f"expires: {expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    ]


def lines_to_sign(status: Status, view: GateView, decision: str, approver: str) -> list[str]:
    """The lines for a decision of this person at this gate."""
    return approval_lines(
        project=status.project,
        version=status.version,
        digest=view.digest,
        plan=view.plan,
        run=status.run_id,
        decision=decision,
        approver=approver,
        expires=view.expires,
    )


def departure(view: GateView, image: Image, plan: str) -> str:
    """How what is about to run differs from what people approved; empty when it is the same."""
    if image.digest != view.digest or image.reference != view.image:
        return f"{image.reference} is about to run, but {view.image} was approved"
    if plan != view.plan:
        return f"plan {plan} is about to be done, but plan {view.plan} was approved"
    return ""


def text_of(lines: list[str]) -> str:
    """Exactly what is signed: every line ends, the last one too."""
    return "".join(f"{line}\n" for line in lines)


def armored(signature: str) -> str:
    """The signature as `ssh-keygen` writes it, from any way in which people paste one: in a line, escaped, or bare."""
    bare = _NOTHING.sub("", signature)
    return "\n".join([_BEGIN, *(bare[at : at + 70] for at in range(0, len(bare), 70)), _END, ""])


class SignatureToVerify(Order):
    """Did `approver` sign `text`? Judged by the worker's `allowed_signers` file, whose keys have to be valid at `at`."""

    allowed_signers: HostPath
    approver: Person
    text: str
    signature: str
    at: datetime


class VerifiedSignature(Finding):
    """`ok` False is a finding too: `why` says what is wrong. `key` is the signing key's fingerprint, where it has one."""

    ok: bool
    why: str
    key: str = ""
