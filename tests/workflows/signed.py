"""A lane whose approvals must be signed: real keys, a real allowed_signers file, the worker's own verification."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.signature import SignatureActivities
from runbook import names, steps
from runbook.approval import lines_to_sign, text_of
from runbook.status import Status
from tests.projects import project
from tests.signing import Key, allowed_signers
from tests.workflows.conftest import LaneOfTests


@dataclass
class Signers:
    """alice, bob and dave may approve and have keys; mallory has one too."""

    lane: LaneOfTests
    folder: Path
    keys: dict[str, Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {name: Key.make(self.folder, name) for name in ("alice", "bob", "dave", "mallory")}
        self.list(alice="", bob="", dave="")
        self.gate()
        self.lane.crew.at(steps.VERIFY_SIGNATURE, SignatureActivities().verify, after=True)

    @property
    def file(self) -> Path:
        return self.folder / "allowed_signers"

    def gate(self, **keys: Any) -> None:
        """The project's gate, with these keys beside its own."""
        table = {"approvers": ["alice", "bob", "dave"], "allowed_signers": str(self.file), "remind_every": "0s", **keys}
        self.lane.crew.project = project(gate=table)

    def list(self, **options: str) -> None:
        """Whose keys are listed, each with options like `valid-before="…"`."""
        allowed_signers(self.file, [f"{name} {said} {self.keys[name].public}" for name, said in options.items()])

    def approval(
        self, status: Status, by: str = "alice", *, key: str = "", decision: str = "approve"
    ) -> dict[str, Any]:
        """What `by` would send about what the gate shows; signed with another's `key` where one is named."""
        assert status.gate is not None
        text = text_of(lines_to_sign(status, status.gate, decision, by))
        return {
            "decision": decision,
            "by": by,
            "digest": status.gate.digest,
            "signature": self.keys[key or by].sign(text),
        }


def as_signal(decision: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The signal's name and payload that say the same as the update's."""
    rest = {name: value for name, value in decision.items() if name != "decision"}
    return {"approve": names.APPROVE, "reject": names.REJECT}[decision["decision"]], rest
