"""The troubleshooting table of the runbook: every line of it is said where its symptom is seen."""

from typing import Any

import pytest

from runbook import steps, trouble
from runbook.step import Step
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
    for own in (None, trouble.PUSH_REJECTED):
        line = line_for(cause, own)
        assert line is not None
        assert str(line).startswith(f"{symptom}: likely ")


@pytest.mark.parametrize("cause", [Cause.CONTAINER_EXITED, Cause.UNHEALTHY, Cause.WRONG_VERSION])
@pytest.mark.parametrize("step", [steps.STAGING_HEALTHY, steps.STAGE, steps.REHEARSE, steps.SMOKE_TEST], ids=str)
def test_trouble_on_staging_calls_nobody_to_production(cause: Cause, step: Step[Any, Any]) -> None:
    line = str(line_for(cause, step.trouble))
    assert line.startswith("Staging ")
    assert "production host" not in line
    assert "roll back" not in line


def test_trouble_on_staging_that_is_not_about_its_service_has_the_page_s_line() -> None:
    assert line_for(Cause.DIGEST_UNKNOWN, steps.STAGE.trouble) is trouble.DIGEST_MISMATCH
    assert line_for(Cause.SMOKE_FAILED, steps.SMOKE_TEST.trouble) is trouble.SMOKE_FAILED


def test_another_cause_has_the_line_of_its_step() -> None:
    assert line_for(Cause.UNREACHABLE, trouble.SMOKE_FAILED) is trouble.SMOKE_FAILED
    assert line_for("SomethingElse", trouble.SMOKE_FAILED) is trouble.SMOKE_FAILED
    assert line_for(Cause.UNREACHABLE) is None


def test_every_line_of_the_table_belongs_to_a_step() -> None:
    lines = {str(value) for value in vars(trouble).values() if isinstance(value, trouble.Trouble)}
    assert len(lines) == 8
    assert {str(step.trouble) for step in steps.ALL if step.trouble} == lines
