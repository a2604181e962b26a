"""The ledger: an append-only table in SQLite or PostgreSQL, each row chained to the one before by its hash."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa

from activities.clients.ledger_database import WAIT, Database
from activities.clients.ledger_table import BEGINNING, Row, ledger, storable
from activities.heartbeat import in_thread
from activities.history import ACTIONS, History
from runbook.message import Order, ReleaseRef
from runbook.record import Entry

T = TypeVar("T")


@dataclass(frozen=True)
class Broken:
    """The first row at which the chain does not hold."""

    seq: int
    why: str


@dataclass(frozen=True)
class Chain:
    """What one look at the whole ledger found: how many rows hold, the newest one's hash, and where it breaks."""

    rows: int
    head: str
    broken: Broken | None = None


class Ledger:
    """`url`: `sqlite:////var/lib/runbook/ledger.db` for one machine's workers, `postgresql://…` for several.

    The table is made at first use, unless it is only looked at (not `writable`): then every method raises NoRows where
    there is none. Every method raises Unreachable when the database is locked, away or hangs: `wait` is how many seconds
    another writer, a connection and an answer may take.
    """

    def __init__(self, url: str | sa.URL, wait: float = WAIT, *, writable: bool = True) -> None:
        self._database = Database(url, wait, writable=writable)

    async def keep(self, order: Order, entries: Sequence[Entry]) -> str:
        """Append the entries whose event is not there yet; gives the hash of the newest row."""
        return await in_thread(self._kept, order.ref, list(entries))

    async def has(self, event_id: str) -> bool:
        return (
            await self._read(lambda c: c.scalar(sa.select(ledger.c.seq).where(ledger.c.event == event_id))) is not None
        )

    async def head(self) -> str:
        """The hash of the newest row."""
        return await self._read(lambda c: _last(c)[1])

    async def rows(self, project: str, release: str | None = None, actions: Sequence[str] = ()) -> list[Row]:
        """The project's rows in their order; only of this run, only of these actions when given."""
        wanted = sa.select(ledger).where(ledger.c.project == project).order_by(ledger.c.seq)
        if release is not None:
            wanted = wanted.where(ledger.c.release == release)
        if actions:
            wanted = wanted.where(ledger.c.action.in_(actions))
        return await self._read(lambda c: [Row.read(found) for found in c.execute(wanted).mappings()])

    async def history(self, project: str) -> History:
        return History(await self.rows(project, actions=ACTIONS))

    async def verify(self, head: str | None = None) -> Broken | None:
        """The first changed, dropped or reordered row, or None.

        Rows cut off at the end leave no trace in the chain itself: give a `head` noted earlier, as releases carry it.
        """
        return (await self.chain(head)).broken

    async def chain(self, head: str | None = None) -> Chain:
        """What `verify` found, and how much there was to find."""
        return await self._read(lambda c: _followed(c, head))

    def close(self) -> None:
        self._database.close()

    async def _read(self, look: Callable[[sa.Connection], T]) -> T:
        def call() -> T:
            with self._database.reading() as connection:
                return look(connection)

        return await in_thread(call)

    def _kept(self, ref: ReleaseRef, entries: list[Entry]) -> str:
        with self._database.writing() as connection:
            return _append(connection, ref, entries)


def _append(connection: sa.Connection, ref: ReleaseRef, entries: list[Entry]) -> str:
    events = [storable(entry.event) for entry in entries]
    known = set(connection.scalars(sa.select(ledger.c.event).where(ledger.c.event.in_(events))))
    seq, head = _last(connection)
    for entry in entries:
        row = _new(ref, entry, seq + 1, head)
        if row.event in known:
            continue
        known.add(row.event)
        seq, head = row.seq, row.hash
        connection.execute(ledger.insert().values(row.columns()))
    return head


def _new(ref: ReleaseRef, entry: Entry, seq: int, previous: str) -> Row:
    row = Row(
        seq=seq,
        event=storable(entry.event),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        project=ref.project,
        version=storable(entry.version or ref.version),
        workflow=storable(ref.workflow_id),
        release=storable(ref.release),
        actor=storable(entry.actor),
        action=storable(entry.action),
        place=storable(entry.place),
        outcome=storable(entry.outcome),
        detail=storable(entry.detail),
        evidence=[storable(line) for line in entry.evidence],
        digest=storable(entry.digest),
        previous=previous,
    )
    return replace(row, hash=row.sealed())


def _last(connection: sa.Connection) -> tuple[int, str]:
    found = connection.execute(sa.select(ledger.c.seq, ledger.c.hash).order_by(ledger.c.seq.desc()).limit(1)).first()
    return (found.seq, found.hash) if found else (0, BEGINNING)


def _followed(connection: sa.Connection, head: str | None) -> Chain:
    seq, previous, is_there = 0, BEGINNING, head == BEGINNING
    everything = sa.select(ledger).order_by(ledger.c.seq).execution_options(yield_per=500)
    for found in connection.execute(everything).mappings():
        row = Row.read(found)
        if why := _break(row, seq + 1, previous):
            return Chain(seq, previous, Broken(seq + 1, why))
        seq, previous = row.seq, row.hash
        is_there = is_there or row.hash == head
    if head is None or is_there:
        return Chain(seq, previous)
    return Chain(seq, previous, Broken(seq + 1, f"the rows up to {head[:12]}… are missing after row {seq}"))


def _break(row: Row, seq: int, previous: str) -> str | None:
    """Why this is not the row of this number after the one with this hash."""
    if row.seq != seq:
        return f"row {seq} is missing: the next one is {row.seq}"
    if row.previous != previous:
        return f"row {seq} does not follow the row before it"
    if row.hash != row.sealed():
        return f"row {seq} was changed: its content is not what its hash says"
    return None
