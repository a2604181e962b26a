"""What is to come: every row in the order of the page, once, and none that this project will never reach."""

from runbook import steps
from runbook.outline import of_release, of_rollback
from runbook.status import State
from tests.projects import project


def test_a_release_is_outlined_in_the_order_of_the_page() -> None:
    rows = of_release(project(production={"hosts": ["a", "b"]}, staging={"hosts": ["s"]}))
    assert [row.key for row in rows] == [
        "plan",
        "changelog",
        "ci-green",
        "version-bump",
        "uat",
        "staging-healthy/s",
        "registry-credentials",
        "on-call-notified",
        "verify-commit",
        "tag",
        "pipeline-run",
        "pipeline",
        "verify-artifact/s",
        "scan",
        "stage/s",
        "smoke-test/s",
        "pull/a",
        "pull/b",
        "way-back/a",
        "way-back/b",
        "drift",
        "swap/a",
        "health/a",
        "swap/b",
        "health/b",
        "record",
        "verification/a",
        "verification/b",
        "soak",
    ]
    assert {row.state for row in rows} == {State.WAITING}


def test_hosts_are_outlined_batch_by_batch() -> None:
    rows = of_release(project(production={"hosts": ["a", "b", "c"], "batch_size": 2}))
    changes = [row.key for row in rows if row.name in {"swap", "health"}]
    assert changes == ["swap/a", "health/a", "swap/b", "swap/c", "health/b", "health/c"]


def test_what_a_project_leaves_out_is_no_row() -> None:
    names = {row.name for row in of_release(project(production={"soak": {"lasts": "0s"}}))}
    assert not {steps.SOAK.name, steps.WINDOW.name, steps.REHEARSE.name} & names


def test_a_rehearsal_is_between_staging_and_its_smoke_test() -> None:
    rows = of_release(project(staging={"hosts": ["s"], "rehearse_rollback": True}))
    staged = [row.name for row in rows if row.number == steps.STAGE.number]
    assert staged == [steps.STAGE.name, steps.REHEARSE.name, steps.SMOKE_TEST.name]


def test_no_row_is_there_twice() -> None:
    rows = [row.key for row in of_release(project())]
    assert len(rows) == len(set(rows))


def test_a_rollback_is_outlined_host_by_host() -> None:
    after = [row.key for row in of_rollback(["a", "b"], by_hand=False)]
    assert after == ["put-back/a", "put-back-health/a", "put-back/b", "put-back-health/b", "postmortem"]
    by_hand = [row.key for row in of_rollback(["a"], by_hand=True)]
    assert by_hand == ["plan-rollback", "return/a", "put-back-health/a", "postmortem"]
