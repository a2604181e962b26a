"""The troubleshooting table of the runbook: every line of it is said where its symptom is seen."""

import pytest

from runbook import steps, trouble
from runbook.trouble import Cause, line_for


@pytest.mark.parametrize(
    ("cause", "symptom"),
    [
        (Cause.PUSH_REJECTED, "Tag push rejected"),
        (Cause.NO_RUN, "Pipeline not triggered on tag push"),
        (Cause.DIGEST_MISMATCH, "Image digest mismatch"),
        (Cause.DIGEST_UNKNOWN, "Image digest mismatch"),
        (Cause.SMOKE_FAILED, "Staging smoke test fails"),
        (Cause.CONTAINER_EXITED, "Production container exits immediately"),
        (Cause.UNHEALTHY, "Health endpoint returns non-200"),
        (Cause.WRONG_VERSION, "Health endpoint returns non-200"),
    ],
)
def test_a_cause_has_its_line_whatever_the_step(cause: Cause, symptom: str) -> None:
    for fallback in (None, trouble.PUSH_REJECTED):
        line = line_for(cause, fallback)
        assert line is not None
        assert str(line).startswith(f"{symptom}: likely ")


def test_another_cause_has_the_line_of_its_step() -> None:
    assert line_for(Cause.UNREACHABLE, trouble.SMOKE_FAILED) is trouble.SMOKE_FAILED
    assert line_for("SomethingElse", trouble.SMOKE_FAILED) is trouble.SMOKE_FAILED
    assert line_for(Cause.UNREACHABLE) is None


def test_every_line_of_the_table_belongs_to_a_step() -> None:
    lines = {str(value) for value in vars(trouble).values() if isinstance(value, trouble.Trouble)}
    assert len(lines) == 6
    assert {str(step.trouble) for step in steps.ALL if step.trouble} == lines
