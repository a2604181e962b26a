"""What a drift check says of each host and of all of them, and how it looks."""

from datetime import UTC, datetime

from runbook.drift_board import drift_board
from runbook.drift_check import (
    DriftCheckPlan,
    DriftReport,
    DriftVerdict,
    Look,
    compared,
    differences,
    summary_of,
    verdict_of,
)
from tests.workflows.findings import drift_plan, host_state_of

DRIFTED = host_state_of("production-2", state="exited")


def looks(**others: Look) -> dict[str, Look]:
    found: dict[str, Look] = {host: host_state_of(host) for host in drift_plan().project.production.hosts}
    return {**found, **{name.replace("_", "-"): look for name, look in others.items()}}


def verdicts(plan: DriftCheckPlan, seen: dict[str, Look]) -> list[DriftVerdict]:
    return [host.verdict for host in compared(plan, seen)]


def test_all_as_recorded() -> None:
    assert verdicts(drift_plan(), looks()) == [DriftVerdict.AS_RECORDED] * 3
    [first, *_] = compared(drift_plan(), looks())
    assert (first.runs, first.recorded) == ("v1.4.0 sha256:aaaaaaaaaaaa",) * 2
    assert (first.env_file, first.restarts, first.said) == ("same", "0", [])


def test_a_host_that_is_silent_is_unknown_and_hides_no_other_one() -> None:
    seen = looks(production_1="no route to host", production_2=DRIFTED)
    assert verdicts(drift_plan(), seen) == [DriftVerdict.UNKNOWN, DriftVerdict.DRIFTED, DriftVerdict.AS_RECORDED]
    assert verdict_of(compared(drift_plan(), seen)) is DriftVerdict.DRIFTED
    assert [drift.host for drift in differences(drift_plan(), seen)] == ["production-2"]
    assert verdict_of(compared(drift_plan(), looks(production_1="no route"))) is DriftVerdict.UNKNOWN


def test_what_differs_while_production_is_changed_is_no_drift() -> None:
    plan = drift_plan(under_way="a release is changing production as release-shop")
    hosts = compared(plan, looks(production_2=DRIFTED))
    assert [host.verdict for host in hosts] == [
        DriftVerdict.AS_RECORDED,
        DriftVerdict.UNDER_WAY,
        DriftVerdict.AS_RECORDED,
    ]
    assert "a release is changing production" in summary_of(plan, verdict_of(hosts), hosts)


def test_a_host_that_the_last_release_did_not_record_is_compared_with_its_version() -> None:
    plan = drift_plan(records=[])
    assert verdicts(plan, looks()) == [DriftVerdict.AS_RECORDED] * 3
    assert plan.record("production-9").container_id is None


def test_the_board_shows_each_host_and_nothing_of_it_passes_for_markup() -> None:
    plan = drift_plan()
    hosts = compared(plan, looks(production_1="# | pwned |\n<b>", production_2=DRIFTED))
    verdict = verdict_of(hosts)
    report = DriftReport(
        project="shop",
        workflow_id="drift-shop",
        run_id="run",
        requested_by="alice",
        started=datetime(2026, 11, 22, tzinfo=UTC),
        version=plan.version,
        recorded=plan.recorded,
        verdict=verdict,
        summary=summary_of(plan, verdict, hosts),
        hosts=hosts,
    )
    shown = drift_board(report)
    assert shown.startswith("# Drift of shop: drifted\n")
    assert "production-2: no longer what v1.4.0 left" in shown
    assert "container shop is exited, not running" in shown
    assert "unknown; # \\| pwned \\| &lt;b>" in shown


def test_a_board_of_a_check_that_goes_on_says_so() -> None:
    report = DriftReport(
        project="shop", workflow_id="drift-shop", run_id="run", requested_by="alice", started=datetime.now(UTC)
    )
    assert drift_board(report) == "# Drift of shop: being looked for\n"
