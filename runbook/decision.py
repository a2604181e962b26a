"""What people send to a release, read by hand: any payload is either a decision or a named fault, never an exception."""

import json
from collections.abc import Sequence
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runbook import names
from runbook.identifier import Digest, Person

_SHOWN = 120
EXAMPLES = {
    names.APPROVE: '{"by": "alice", "digest": "sha256:…", "comment": ""}',
    names.REJECT: '{"by": "alice", "digest": "sha256:…", "comment": "why not"}',
    names.RETRY: '{"by": "alice", "reason": "fixed the disk"}',
    names.ABORT: '{"by": "alice", "reason": "wrong commit"}',
    names.ROLL_BACK: '{"by": "alice", "reason": "checkout fails"}',
    names.DECIDE: '{"decision": "approve", "by": "alice", "digest": "sha256:…"}',
}


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Person


class Judgement(_Sent):
    """`approve` or `reject`: always about exactly the bytes on show."""

    kind: Literal["approve", "reject"]
    digest: Digest
    comment: str = Field(default="", max_length=2000)
    signature: str | None = Field(default=None, max_length=8000)


class Instruction(_Sent):
    """`retry`, `abort` or `roll_back`; `step` narrows a retry to one step."""

    kind: Literal["retry", "abort", "roll_back"]
    reason: str = Field(default="", max_length=2000)
    step: str | None = Field(default=None, max_length=100)


Decision = Judgement | Instruction


class Malformed(BaseModel):
    """A payload that is no decision: which message it came with, and what was wrong with it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


class Verdict(BaseModel):
    """What became of a decision."""

    accepted: bool
    why: str


def read_decision(name: str, payloads: Sequence[Any]) -> Decision | Malformed:
    """The decision in a message of this name, whatever its payloads are."""
    example = EXAMPLES.get(name)
    if example is None:
        return Malformed(name=name[:60], why=f"there is no such message; send one of {', '.join(names.SIGNALS)}")
    if len(payloads) != 1:
        return Malformed(name=name, why=f"takes one JSON object, not {len(payloads)} values; send {example}")
    return _read_object(name, payloads[0], example)


def _read_object(name: str, payload: Any, example: str) -> Decision | Malformed:
    if payload is None:
        return Malformed(name=name, why=f"came without an object; send {example}")
    if not isinstance(payload, dict):
        return Malformed(name=name, why=f"takes one JSON object, not {_short(payload)}; send {example}")
    fields = dict(cast("dict[str, Any]", payload))
    kind = fields.pop("decision", None) if name == names.DECIDE else name
    if kind not in names.SIGNALS:
        return Malformed(name=name, why=f'"decision" is one of {", ".join(names.SIGNALS)}; send {example}')
    model = Judgement if kind in {names.APPROVE, names.REJECT} else Instruction
    try:
        return model.model_validate({**fields, "kind": kind})
    except ValidationError as error:
        return Malformed(name=name, why=f"{_faults(error)}; send {example}")


def _faults(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(str(part)[:40] for part in fault['loc']) or 'object'}: {_reason(fault['msg'])}"
        for fault in error.errors(include_url=False, include_input=False)
    ]
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return "; ".join(faults[:3]) + more


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "no such field")[:200]


def _short(payload: Any) -> str:
    try:
        text = json.dumps(payload)
    except (TypeError, ValueError):
        text = repr(payload)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
