"""Signs an approval with the operator's own SSH key; the key never leaves `ssh-keygen` and the agent."""

import subprocess
from pathlib import Path

from console.refusal import Refusal
from runbook.approval import NAMESPACE, approval_lines, text_of
from runbook.status import GateView, Status


def signed(status: Status, gate: GateView, decision: str, by: str, key: Path) -> str:
    """The signature over exactly what the gate shows. `key` may be the public half of one that the agent holds.

    Raises:
        Refusal: `ssh-keygen` is not there or would not sign.
    """
    lines = approval_lines(
        project=status.project,
        version=status.version,
        digest=gate.digest,
        plan=gate.plan,
        run=status.run_id,
        decision=decision,
        approver=by,
        expires=gate.expires,
    )
    command = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key.expanduser())]
    try:
        done = subprocess.run(command, input=text_of(lines), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refusal("there is no ssh-keygen here, which signs approvals: install OpenSSH's client") from None
    if done.returncode != 0:
        raise Refusal(f"ssh-keygen would not sign with {key}: {' '.join(done.stderr.split())}")
    return done.stdout
