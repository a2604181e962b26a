"""What CI does with tests that are skipped."""

from pathlib import Path

from tests.inner_pytest import run


def test_a_skipped_test_fails_with_its_reason(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.unskipped", "def test_engine(): pytest.skip('there is no Docker engine')")
    assert ended.returncode == 1
    assert "1 failed" in ended.stdout
    assert "there is no Docker engine" in ended.stdout


def test_it_fails_in_a_process_beside_the_others_as_well(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.unskipped", "def test_engine(): pytest.skip('there is no Docker engine')", "-n", "1")
    assert ended.returncode == 1
    assert "1 failed" in ended.stdout
    assert "there is no Docker engine" in ended.stdout


def test_a_skipped_module_fails_with_its_reason(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.unskipped", "pytest.skip('there is no browser', allow_module_level=True)")
    assert ended.returncode != 0
    assert "there is no browser" in ended.stdout


def test_a_test_that_is_marked_to_be_skipped_or_to_fail_fails(tmp_path: Path) -> None:
    skipped = "@pytest.mark.skipif(True, reason='never here')\ndef test_engine(): pass"
    failing = "@pytest.mark.xfail(reason='known')\ndef test_bug(): assert False"
    ended = run(tmp_path, "tests.unskipped", f"{skipped}\n{failing}")
    assert ended.returncode == 1
    assert "1 failed, 1 error" in ended.stdout
    assert "passed" not in ended.stdout


def test_a_test_that_runs_is_left_alone(tmp_path: Path) -> None:
    ended = run(tmp_path, "tests.unskipped", "def test_engine(): pass")
    assert ended.returncode == 0
    assert "1 passed" in ended.stdout
