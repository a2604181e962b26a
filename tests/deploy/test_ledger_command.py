"""`python -m deploy.ledger`: what an auditor asks the ledger."""

import sqlite3
import subprocess
import sys
from pathlib import Path

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
    assert asked(tmp_path, "verify").stdout == f"whole; its head is {head}\n"
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


def test_looking_makes_no_ledger(tmp_path: Path) -> None:
    done = asked(tmp_path, "verify")
    assert done.returncode == 2
    assert "there is no ledger at" in done.stderr
    assert not (tmp_path / "ledger.db").exists()
