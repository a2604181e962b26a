from pathlib import Path

from activities.clients.ledger import Ledger
from activities.ledger import LedgerActivities
from runbook.message import ReleaseRef
from runbook.record import EntriesToKeep, Entry


async def test_entries_are_kept_once_and_the_head_is_given(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    order = EntriesToKeep(
        ref=ReleaseRef(
            project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
        ),
        entries=[
            Entry(event="run/said/1", actor="bob", action="approve", outcome="accepted"),
            Entry(event="run/said/2", actor="worker", action="outcome", outcome="released"),
        ],
    )
    group = LedgerActivities(ledger)
    kept = await group.keep(order)
    assert await group.keep(order) == kept
    rows = await ledger.rows("shop")
    ledger.close()
    assert [(row.actor, row.action, row.version) for row in rows] == [
        ("bob", "approve", "1.4.0"),
        ("worker", "outcome", "1.4.0"),
    ]
    assert kept.head == rows[-1].hash
    assert kept.summary == f"the ledger's head is {kept.head[:12]}"
