"""The text that approvers sign."""

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.approval import approval_lines, armored, text_of

ABOUT = {
    "project": "shop",
    "version": "1.4.0",
    "digest": "sha256:" + "a" * 64,
    "plan": "sha256:" + "b" * 64,
    "run": "0197-run",
    "decision": "approve",
    "approver": "alice",
}
EXPIRES = datetime(2026, 11, 24, 15, 0, 59, 999999, tzinfo=UTC)
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def lines(**changes: str) -> list[str]:
    return approval_lines(**{**ABOUT, **changes}, expires=EXPIRES)


def test_the_text_is_this_and_every_line_ends() -> None:
    assert text_of(lines()) == (
        "release-runbook approval 1\n"
        "project: shop\n"
        "version: 1.4.0\n"
        f"digest: sha256:{'a' * 64}\n"
        f"plan: sha256:{'b' * 64}\n"
        "run: 0197-run\n"
        "decision: approve\n"
        "approver: alice\n"
        "expires: 2026-11-24T15:00:59Z\n"
    )


@pytest.mark.parametrize("field", list(ABOUT))
def test_another_value_of_any_field_is_another_text(field: str) -> None:
    assert text_of(lines(**{field: "other"})) != text_of(lines())


def test_the_expiry_is_one_text_whatever_zone_it_came_in() -> None:
    elsewhere = EXPIRES.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert approval_lines(**ABOUT, expires=elsewhere) == lines()


@given(st.text(alphabet=string.ascii_letters + string.digits + "+/=", min_size=1, max_size=400))
def test_a_signature_is_the_same_however_it_was_pasted(body: str) -> None:
    wrapped = "\n".join(body[at : at + 70] for at in range(0, len(body), 70))
    whole = f"{BEGIN}\n{wrapped}\n{END}\n"
    assert armored(whole) == whole
    assert armored(body) == whole
    assert armored(whole.replace("\n", "\\n")) == whole
    assert armored(whole.replace("\n", "\r\n")) == whole
    assert armored(whole.replace("\n", " ")) == whole
