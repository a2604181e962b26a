"""What people send: any payload is a decision or a named fault, and reading one never raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook import names
from runbook.decision import EXAMPLES, Instruction, Judgement, Malformed, Unreadable, read_decision
from tests.projects import DIGEST

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.dictionaries(
    st.sampled_from(["by", "digest", "comment", "signature", "reason", "step", "decision", "kind", "x"]),
    JSON | st.sampled_from(["alice", DIGEST, *names.SIGNALS]),
)
NAMES = st.sampled_from([*names.SIGNALS, names.DECIDE]) | st.text()


@given(name=NAMES, payloads=st.lists(JSON | FIELDS | st.just(Unreadable("3 bytes")), max_size=3))
def test_reading_never_raises_and_what_is_a_decision_is_whole(name: str, payloads: list[Any]) -> None:
    read = read_decision(name, payloads)
    if isinstance(read, Malformed):
        assert len(read.why) < 1500
        assert len(read.name) <= 600
        assert "\n" not in str(read)
        return
    assert len(payloads) == 1
    [sent] = payloads
    assert read.by == sent["by"]
    assert read.kind == (sent["decision"] if name == names.DECIDE else name)
    if isinstance(read, Judgement):
        assert read.digest == sent["digest"]


@pytest.mark.parametrize("name", [names.APPROVE, names.REJECT])
def test_a_judgement_names_who_and_which_bytes(name: str) -> None:
    sent = {"by": "alice", "digest": DIGEST, "comment": "fine", "signature": None}
    expected = Judgement.model_validate({**sent, "kind": name})
    assert read_decision(name, [sent]) == expected
    assert read_decision(names.DECIDE, [{**sent, "decision": name}]) == expected


@pytest.mark.parametrize("name", [names.RETRY, names.ABORT, names.ROLL_BACK, names.REMIND])
def test_an_instruction_names_who(name: str) -> None:
    read = read_decision(name, [{"by": "bob"}])
    assert read == Instruction.model_validate({"kind": name, "by": "bob", "reason": "", "step": None})
    assert read_decision(names.DECIDE, [{"decision": name, "by": "bob"}]) == read


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_that_people_are_told_is_a_decision_once_the_digest_is_put_in(name: str) -> None:
    sent = json.loads(EXAMPLES[name].replace("sha256:…", DIGEST))
    assert not isinstance(read_decision(name, [sent]), Malformed)


GOOD = {"by": "alice", "digest": DIGEST}


@pytest.mark.parametrize(
    ("name", "payloads", "why"),
    [
        ("approve", [], "came without an object"),
        ("approve", [None], "came without an object"),
        ("approve", [True], "takes one JSON object, not true"),
        ("approve", ["yes"], 'takes one JSON object, not "yes"'),
        ("approve", [[GOOD]], "takes one JSON object, not [{"),
        ("approve", [GOOD, GOOD], "takes one JSON object, not 2 values"),
        ("approve", [Unreadable("7 bytes said to be binary/x")], "can't be read, it is 7 bytes said to be binary/x"),
        ("approve", [{**GOOD, "digset": DIGEST}], "digset: no such field"),
        ("approve", [{"by": "alice"}], "digest: Field required"),
        ("approve", [{"digest": DIGEST}], "by: Field required"),
        ("approve", [{**GOOD, "by": ["alice"]}], "by: Input should be a valid string"),
        ("approve", [{**GOOD, "by": "alice; rm"}], "is not a person's name"),
        ("approve", [{**GOOD, "digest": "latest"}], "is not sha256: and 64 hexadecimal digits"),
        ("approve", [{**GOOD, "digest": DIGEST.upper()}], "is not sha256: and 64 hexadecimal digits"),
        ("approve", [{**GOOD, "comment": "x" * 2001}], "comment: String should have at most 2000 characters"),
        ("approve", [{**GOOD, "signature": "x" * 8001}], "signature: String should have at most 8000 characters"),
        ("approve", [{**GOOD, "reason": "x"}], "reason: no such field"),
        ("approve", [{**GOOD, "kind": "approve"}], "kind: no such field"),
        ("approve", [{**GOOD, "decision": "approve"}], "decision: no such field"),
        ("approve", [{str(number): 0 for number in range(21)}], "has 21 fields"),
        ("approve", [{"a": 1, "b": 1, "c": 1}], "and 2 more"),
        ("abort", [{"by": "bob", "digest": DIGEST}], "digest: no such field"),
        ("retry", [{"by": "bob", "step": 3}], "step: Input should be a valid string"),
        ("decide", [GOOD], '"decision" is one of approve, reject, retry, abort, roll_back, remind'),
        ("decide", [{**GOOD, "decision": ["approve"]}], '"decision" is one of'),
        ("decide", [{**GOOD, "decision": "decide"}], '"decision" is one of'),
        ("aprove", [GOOD], "there is no such message; send one of approve, reject, retry, abort, roll_back, remind"),
    ],
)
def test_a_fault_is_named_with_what_to_send(name: str, payloads: list[Any], why: str) -> None:
    read = read_decision(name, payloads)
    assert isinstance(read, Malformed)
    assert why in read.why
    assert name not in EXAMPLES or read.why.endswith(f"send {EXAMPLES[name]}")


def test_a_large_payload_is_shown_by_its_beginning_and_its_size() -> None:
    read = read_decision("approve", ["x" * 1_000_000])
    assert isinstance(read, Malformed)
    assert "(1000002 characters)" in read.why
    assert len(read.why) < 400


def test_a_name_that_would_break_the_board_is_shown_as_what_it_is() -> None:
    read = read_decision("x\n# Gate: approved\u202e", [{}])
    assert isinstance(read, Malformed)
    assert read.name == r"'x\n# Gate: approved\u202e'"


def test_a_payload_too_deep_to_be_shown_is_named_by_its_kind() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    read = read_decision("approve", [deep])
    assert isinstance(read, Malformed)
    assert "not list" in read.why
