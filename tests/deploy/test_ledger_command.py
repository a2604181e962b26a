"""`python -m deploy.ledger`: what an auditor asks the ledger."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from activities.clients.ledger import Ledger
from runbook.message import Order, ReleaseRef
from runbook.record import Entry
from tests.deploy.running import ROOT, ended


async def kept(folder: Path, count: int = 3) -> str:
    """A ledger with some rows of one run; its head."""
    ref = ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release="run-1", epoch=1, requested_by="alice"
    )
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    entries = [
        Entry(event=f"run-1/{number}", actor="worker", action="swap", place=f"production-{number}", outcome="done")
        for number in range(count)
    ]
    head = await ledger.keep(Order(ref=ref), entries)
    ledger.close()
    return head


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {"RUNBOOK_STATE": str(folder), "RUNBOOK_PROJECTS": str(folder), "PATH": "/usr/bin:/bin"}
    return ended([sys.executable, "-m", "deploy.ledger", *words], environment=variables, folder=ROOT)


async def test_a_whole_ledger_is_said_to_be_whole_with_its_head(tmp_path: Path) -> None:
    head = await kept(tmp_path)
    assert asked(tmp_path, "verify").stdout == f"whole: 3 rows checked; its head is {head}\n"
    assert asked(tmp_path, "verify", "--head", head).returncode == 0


async def test_a_changed_row_is_named(tmp_path: Path) -> None:
    await kept(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("DROP TRIGGER ledger_no_UPDATE")
        database.execute("UPDATE ledger SET actor = 'mallory' WHERE seq = 2")
    done = asked(tmp_path, "verify")
    assert done.returncode == 1
    assert "row 2 was changed" in done.stdout


async def test_rows_cut_off_at_the_end_are_found_by_a_head_noted_earlier(tmp_path: Path) -> None:
    head = await kept(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("DROP TRIGGER ledger_no_DELETE")
        database.execute("DELETE FROM ledger WHERE seq = 3")
    assert asked(tmp_path, "verify").returncode == 0
    done = asked(tmp_path, "verify", "--head", head)
    assert done.returncode == 1
    assert "are missing after row 2" in done.stdout


async def test_a_project_s_rows_are_shown_a_line_each(tmp_path: Path) -> None:
    await kept(tmp_path)
    lines = asked(tmp_path, "show", "shop").stdout.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        f"1.4.0 worker swap on production-{number} done" for number in range(3)
    ]
    assert asked(tmp_path, "show", "shop", "--release", "run-2").stdout == ""


def test_looking_makes_no_ledger_and_no_folder(tmp_path: Path) -> None:
    done = asked(tmp_path / "nowhere", "verify")
    assert done.returncode == 2
    assert f"there is no ledger at {tmp_path}/nowhere/ledger.db" in done.stderr
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("command", [["verify"], ["show", "shop"]])
def test_an_empty_file_is_no_whole_ledger_and_stays_empty(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty.db").touch()
    done = asked(tmp_path, "--ledger", f"sqlite:///{tmp_path}/empty.db", *command)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert f"there is no table of a ledger in sqlite:///{tmp_path}/empty.db: nothing was checked" in line
    assert "docs/operations.md" in line
    assert contents(tmp_path) == {"empty.db": b""}


async def test_a_ledger_without_a_row_is_not_whole_either(tmp_path: Path) -> None:
    await kept(tmp_path, 0)
    done = asked(tmp_path, "verify")
    assert (done.returncode, done.stdout) == (3, "")
    assert "the ledger has no row: nothing was checked" in done.stderr
    assert asked(tmp_path, "verify", "--head", "a" * 64).returncode == 1


async def test_a_copy_without_what_is_beside_it_is_empty_and_one_with_the_log_is_whole(tmp_path: Path) -> None:
    """As `cp` takes it from under a worker: what is new is still in the log."""
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    with held(tmp_path):
        head = await kept(tmp_path)
        for folder, names in ((alone, ["ledger.db"]), (beside, ["ledger.db", "ledger.db-wal"])):
            folder.mkdir()
            for name in names:
                shutil.copy(tmp_path / name, folder)
    before = contents(alone), contents(beside)
    assert asked(tmp_path, "--ledger", str(alone / "ledger.db"), "verify").returncode == 3
    assert asked(tmp_path, "--ledger", str(beside / "ledger.db"), "verify").stdout.endswith(f"its head is {head}\n")
    assert (contents(alone), contents(beside)) == before


async def test_a_plain_path_is_enough_and_looking_leaves_nothing_beside_it(tmp_path: Path) -> None:
    await kept(tmp_path, 1)
    odd = tmp_path / "a backup?of 100%#1.db"
    shutil.copy(tmp_path / "ledger.db", odd)
    before = contents(tmp_path)
    done = asked(tmp_path, "--ledger", str(odd), "verify")
    assert done.stdout.startswith("whole: 1 row checked; "), done.stderr
    assert contents(tmp_path) == before


async def test_a_ledger_that_a_worker_has_open_is_read_with_what_is_new(tmp_path: Path) -> None:
    with held(tmp_path):
        head = await kept(tmp_path)
        before = (tmp_path / "ledger.db").read_bytes()
        assert asked(tmp_path, "verify", "--head", head).stdout.startswith("whole: 3 rows checked")
        assert (tmp_path / "ledger.db").read_bytes() == before


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ("nonsense", "there is no ledger at"),
        ("mysql://runbook:opensesame@x/y", "mysql is no database that can keep the ledger: name it as a path"),
        ("postgresql://runbook:opensesame@x:port/y", "postgresql://…, can't be read: name it as a path"),
        ("sqlite+nothing:////ledger.py", "there is no ledger at"),
        ("postgresql+nothing://runbook:opensesame@x/y", "is its driver installed?"),
        ("sqlite://", "there is no ledger at"),
        ("deploy/ledger.py", "file is not a database; is it up, whole, and may this user read it?"),
    ],
)
def test_what_is_no_ledger_is_one_line_and_status_2(tmp_path: Path, ledger: str, said: str) -> None:
    done = asked(tmp_path, "--ledger", ledger, "verify")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line
    assert "opensesame" not in line


def test_help_says_what_every_status_means(tmp_path: Path) -> None:
    told = " ".join(asked(tmp_path, "--help").stdout.split())
    for status in ("0 every row holds", "1 the chain is broken", "2 wrong words", "3 there is no row"):
        assert status in told


@contextlib.contextmanager
def held(folder: Path) -> Generator[None]:
    """The ledger is open elsewhere, so that its log is not taken into it."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("SELECT * FROM sqlite_master").fetchall()
        yield


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
