"""What people send to a release, read by hand: any payload is either a decision or a named fault, never an exception."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runbook import names
from runbook.identifier import Digest, Person

_SHOWN = 120
_MOST_FIELDS = 20
EXAMPLES = {
    names.APPROVE: '{"by": "alice", "digest": "sha256:…", "comment": ""}',
    names.REJECT: '{"by": "alice", "digest": "sha256:…", "comment": "why not"}',
    names.RETRY: '{"by": "alice", "reason": "fixed the disk"}',
    names.ABORT: '{"by": "alice", "reason": "wrong commit"}',
    names.ROLL_BACK: '{"by": "alice", "reason": "checkout fails"}',
    names.REMIND: '{"by": "alice", "reason": "I am off, please look"}',
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
    """Anything but a judgement; `step` narrows a retry to one step, or as `step/host` to one host of it."""

    kind: Literal["retry", "abort", "roll_back", "remind"]
    reason: str = Field(default="", max_length=2000)
    step: str | None = Field(default=None, max_length=400)


Decision = Judgement | Instruction


@dataclass(frozen=True)
class Unreadable:
    """A payload that nobody could decode; `what` says what it is."""

    what: str


class Malformed(BaseModel):
    """A payload that is no decision: which message it came with, and what was wrong with it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


class Verdict(BaseModel):
    """What became of a decision; `suspicious` when it looks like somebody's who may not decide."""

    accepted: bool
    why: str
    suspicious: bool = False


def read_decision(name: str, payloads: Sequence[Any]) -> Decision | Malformed:
    """The decision in a message of this name, whatever its payloads are."""
    example = EXAMPLES.get(name)
    if example is None:
        return Malformed(name=_word(name), why=f"there is no such message; send one of {', '.join(names.SIGNALS)}")
    if not payloads:
        return Malformed(name=name, why=f"came without an object; send {example}")
    if len(payloads) > 1:
        return Malformed(name=name, why=f"takes one JSON object, not {len(payloads)} values; send {example}")
    return _read_object(name, payloads[0], example)


def _read_object(name: str, payload: Any, example: str) -> Decision | Malformed:
    why = _no_object(payload)
    if why:
        return Malformed(name=name, why=f"{why}; send {example}")
    fields = dict(cast("dict[str, Any]", payload))
    kind = fields.pop("decision", None) if name == names.DECIDE else name
    if kind not in names.SIGNALS:
        return Malformed(name=name, why=f'"decision" is one of {", ".join(names.SIGNALS)}; send {example}')
    if "kind" in fields:
        return Malformed(name=name, why=f"kind: no such field; send {example}")
    model = Judgement if kind in {names.APPROVE, names.REJECT} else Instruction
    try:
        return model.model_validate({**fields, "kind": kind})
    except ValidationError as error:
        return Malformed(name=name, why=f"{_faults(error)}; send {example}")


def _no_object(payload: Any) -> str:
    """Why this can't be a decision's object, whatever its fields; empty when it may be one."""
    match payload:
        case None:
            return "came without an object"
        case Unreadable():
            return f"can't be read, it is {payload.what}"
        case dict():
            count = len(cast("dict[str, Any]", payload))
            return f"has {count} fields" if count > _MOST_FIELDS else ""
        case _:
            return f"takes one JSON object, not {_short(payload)}"


def _faults(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(_word(part) for part in fault['loc']) or 'object'}: {_reason(fault['msg'])}"
        for fault in error.errors(include_url=False, include_input=False)
    ]
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return "; ".join(faults[:3]) + more


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "no such field")[:200]


def _word(text: object) -> str:
    word = str(text)[:60]
    return word if word.isprintable() else ascii(word)


def _short(payload: Any) -> str:
    try:
        text = json.dumps(payload)
    except (TypeError, ValueError, RecursionError):
        text = type(payload).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
