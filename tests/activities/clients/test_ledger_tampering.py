"""A ledger that somebody changed who has its file: every change is found, and where."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from activities.clients.ledger import Ledger
from tests.activities.clients.test_ledger import entry, order

Tampering = Callable[[sqlite3.Connection], object]


def edit(statement: str) -> Tampering:
    return lambda connection: connection.execute(statement)


def swap_rows(connection: sqlite3.Connection) -> None:
    connection.executescript(
        "UPDATE ledger SET seq = -2 WHERE seq = 2; UPDATE ledger SET seq = 2 WHERE seq = 3;"
        "UPDATE ledger SET seq = 3 WHERE seq = -2"
    )


@pytest.mark.parametrize(
    ("tampering", "seq", "why"),
    [
        (edit("UPDATE ledger SET detail = 'fine' WHERE seq = 2"), 2, "changed"),
        (edit("""UPDATE ledger SET evidence = '["bob"]' WHERE seq = 3"""), 3, "changed"),
        (edit("UPDATE ledger SET evidence = 'not json' WHERE seq = 3"), 3, "changed"),
        (edit("UPDATE ledger SET actor = 'mallory' WHERE seq = 1"), 1, "changed"),
        (edit("DELETE FROM ledger WHERE seq = 2"), 2, "missing"),
        (edit("DELETE FROM ledger WHERE seq = 1"), 1, "missing"),
        (edit("UPDATE ledger SET previous = hash WHERE seq = 4"), 4, "does not follow"),
        (swap_rows, 2, "does not follow"),
    ],
)
async def test_a_changed_dropped_or_reordered_row_is_found(
    tmp_path: Path, tampering: Tampering, seq: int, why: str
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    await ledger.keep(order(), [entry(str(number), detail="bad") for number in range(4)])
    tamper(tmp_path, tampering)
    broken = await ledger.verify()
    ledger.close()
    assert broken is not None
    assert broken.seq == seq
    assert why in broken.why


async def test_rows_cut_off_at_the_end_are_found_by_a_head_noted_earlier(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    early = await ledger.keep(order(), [entry("a")])
    late = await ledger.keep(order(), [entry("b")])
    assert await ledger.verify(late) is None
    tamper(tmp_path, edit("DELETE FROM ledger WHERE seq = 2"))
    assert await ledger.verify(early) is None
    broken = await ledger.verify(late)
    ledger.close()
    assert broken is not None
    assert broken.seq == 2
    assert late[:12] in broken.why


def tamper(folder: Path, tampering: Tampering) -> None:
    """Change the file as somebody would who has it, guards removed."""
    connection = sqlite3.connect(folder / "ledger.db")
    connection.executescript("DROP TRIGGER ledger_no_UPDATE; DROP TRIGGER ledger_no_DELETE")
    tampering(connection)
    connection.commit()
    connection.close()
