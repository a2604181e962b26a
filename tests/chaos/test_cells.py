"""Which faults can happen where, what shares a run, and what the last line says."""

from pathlib import Path

from tests.chaos.cells import Cell, all_cells, chosen, packed, shots
from tests.chaos.fault import ALL, ANYWHERE, CUT_AFTER, KILL, LOCKED, STOP, TEMPORAL_20, faults_of
from tests.chaos.journal import keep, kept
from tests.chaos.points import masked
from tests.chaos.run import GATE, RELEASE, ROLLBACK
from tests.chaos.sweep import Outcome, Swept

POINTS = {
    RELEASE: [
        *(
            f"release/{step}/begun"
            for step in ("uat", "changelog", "ci-green", "ledger[gate opened]", "notify[gate/*]")
        ),
        "release/tag/begun",
        "release/tag/git push:before",
        "release/tag/kept",
    ],
    ROLLBACK: ["release/tag/begun", "rollback/put-back@production-1/engine POST /containers/*/start#2:before"],
    GATE: ["release/tag/begun"],
}


def test_everywhere_a_worker_or_the_server_may_die() -> None:
    assert set(ANYWHERE) < set(faults_of("release/uat/begun"))
    assert faults_of("release/uat/kept") == list(ANYWHERE)


def test_a_call_may_be_cut_before_and_after_it_took_effect_also_the_second_of_its_kind() -> None:
    for call in ("git push:before", "http POST /api/v1/x#2:before", "engine POST /containers/*/start#3:before"):
        assert CUT_AFTER in faults_of(f"release/tag/{call}")
    assert CUT_AFTER not in faults_of("release/tag/git push:after")
    assert LOCKED in faults_of("release/tag/ledger#2:before")


def test_a_point_is_swept_in_the_first_scenario_that_passes_it_and_the_gate_in_both_its_ends() -> None:
    cells = all_cells(POINTS)
    assert len(cells) == len(set(cells))
    assert {cell.scenario for cell in cells if cell.point == "release/tag/begun"} == {RELEASE}
    assert {cell.scenario for cell in cells if cell.point == "gate/open"} == {RELEASE, GATE}


def test_the_seed_decides_the_sample_and_the_filters_what_is_in_it() -> None:
    cells = all_cells(POINTS)
    assert chosen(cells, seed=3, sample=5) == chosen(cells, seed=3, sample=5)
    assert chosen(cells, seed=3, sample=9) != chosen(cells, seed=4, sample=9)
    pushes = chosen(cells, seed=1, sample=None, points="*push:before", faults=[KILL, STOP])
    assert {cell.fault for cell in pushes} == {KILL, STOP}
    assert {cell.point for cell in pushes} == {"release/tag/git push:before"}


def test_no_two_faults_of_a_run_hit_the_same_phase_unless_that_has_many_steps() -> None:
    runs = packed(all_cells(POINTS), 4)
    assert sum(map(len, runs)) == len(all_cells(POINTS))
    for run in runs:
        for phase, most in (("prerequisites", 2), ("aside", 3)):
            together = [cell.step for cell in run if cell.phase == phase]
            assert len(together) == len(set(together)) <= most
        alone = [cell.phase for cell in run if cell.phase not in {"prerequisites", "aside"}]
        assert len(alone) == len(set(alone))
        assert len({cell.scenario for cell in run}) == 1
        assert [shot.number for shot in shots(run)] == list(range(1, len(run) + 1))


def test_prerequisites_are_one_phase_and_hosts_are_swapped_one_after_the_other() -> None:
    def phase(point: str) -> str:
        return Cell(RELEASE, point, KILL).phase

    assert phase("release/uat/begun") == phase("release/ci-green/http GET /a/b:after")
    assert phase("release/swap@production-1/begun") != phase("release/swap@production-2/engine POST /c:before")
    assert phase("release/pull@production-1/begun") == phase("release/pull@production-2/kept")
    assert phase("release/ledger[release ordered]/begun") == phase("release/uat/kept")
    assert phase("release/notify[gate/*]/begun") == phase("release/ledger[gate opened]/kept")


def test_a_cut_connection_hits_its_own_step_alone_unless_that_has_few_tries() -> None:
    def phase(point: str) -> str:
        return Cell(RELEASE, point, CUT_AFTER).phase

    assert phase("release/ci-green/http GET /a:before") != phase("release/changelog/git fetch:before")
    assert phase("release/uat/git fetch:before") == Cell(RELEASE, "release/ci-green/begun", KILL).phase


def test_a_run_waits_for_the_server_twice_at_most() -> None:
    cells = [Cell(RELEASE, f"release/step{n}/begun", TEMPORAL_20) for n in range(5)]
    assert [len(run) for run in packed(cells, 16)] == [2, 2, 1]


def test_a_point_is_called_the_same_in_every_release() -> None:
    one = masked("/api/v1/repos/acme/shop/commits/0123456789abcdef0123456789abcdef01234567/status")
    assert one == masked("/api/v1/repos/acme/shop/commits/fedcba9876543210fedcba9876543210fedcba98/status")
    assert masked("/v2/acme/shop/manifests/v1.0.7") == masked("/v2/acme/shop/manifests/v1.0.12")
    assert masked("/issues/12/comments") == masked("/issues/7/comments")
    assert masked("/issues/12/comments") != masked("/issues/12/labels")


def test_a_point_is_completed_when_every_fault_of_it_is_and_one_that_nobody_passed_does_not_count() -> None:
    swept = Swept()
    swept.outcomes = {
        Cell(RELEASE, "a", KILL): Outcome(),
        Cell(RELEASE, "a", STOP): Outcome(["two tags"]),
        Cell(RELEASE, "b", KILL): Outcome(),
        Cell(RELEASE, "c", KILL): Outcome(reached=False),
    }
    assert swept.last_line().startswith("chaos: 2 points, 1 completed, 0 duplicate effects")
    assert not swept.is_good
    del swept.outcomes[Cell(RELEASE, "a", STOP)]
    assert swept.is_good
    swept.mixed = 1
    assert not swept.is_good


def test_the_filter_of_faults_knows_all_of_them() -> None:
    assert set(ANYWHERE) < set(ALL)
    assert len(ALL) == len(set(ALL))


def test_a_sweep_that_was_ended_is_gone_on_with_from_its_journal(tmp_path: Path) -> None:
    well, wrong = Cell(RELEASE, "release/tag/begun", KILL), Cell(RELEASE, "release/tag/kept", STOP)
    swept = Swept(
        {well: Outcome(), wrong: Outcome(["two tags"])}, ["both"], runs=3, told_twice=2, seconds=7.5, sittings=1
    )
    assert kept(tmp_path / "journal") == kept(None) == Swept()
    keep(tmp_path / "journal", swept)
    assert kept(tmp_path / "journal") == swept
