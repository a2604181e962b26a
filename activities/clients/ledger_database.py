"""The database under the ledger: SQLite or PostgreSQL, with one writer at a time in either."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from activities.clients.ledger_reading import NoRows, looking_engine
from activities.clients.ledger_table import create, ledger
from activities.errors import Unreachable

WAIT = 10.0
"""Seconds to wait for another writer, for a server to take a connection, and for its answer."""
_LOCK = 7_742_665_301
"""Any number that nothing else in the database locks."""
_WRITES = "ledger_writes"


class Database:
    """Blocking, never for good: call it from a thread. The table is made at first use.

    Trouble of any kind is raised as Unreachable. Not `writable`: nothing is ever made or written, and where there is no
    table NoRows is raised.
    """

    def __init__(self, url: str | sa.URL, wait: float, *, writable: bool = True) -> None:
        self._engine = _engine(url, wait, writable=writable)
        self._wait = wait
        self._writable = writable
        self._ready = False
        self._preparing = threading.Lock()

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        with self._errors():
            self._prepare()
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """A transaction that no other writer, in whatever process, runs beside."""
        with self._errors():
            self._prepare()
            with self._alone() as connection:
                yield connection

    def close(self) -> None:
        self._engine.dispose()

    def _prepare(self) -> None:
        if self._ready:
            return
        if not self._preparing.acquire(timeout=self._wait):
            raise exc.TimeoutError("another call still makes its table")
        try:
            if not self._ready:
                self._make() if self._writable else self._look()
                self._ready = True
        finally:
            self._preparing.release()

    def _make(self) -> None:
        with self._alone() as connection:
            create(connection)

    def _look(self) -> None:
        if not sa.inspect(self._engine).has_table(ledger.name):
            raise NoRows(f"there is no table of a ledger in {self._engine.url}")

    @contextmanager
    def _alone(self) -> Generator[sa.Connection]:
        with self._engine.execution_options(**{_WRITES: True}).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError) as error:
            cause = error.orig if isinstance(error, exc.DBAPIError) else error
            why = " ".join(str(cause).split())[:300]
            doubt = "is it up and writable?" if self._writable else "is it up, whole, and may this user read it?"
            raise Unreachable(f"the ledger at {self._engine.url} can't be used: {why}; {doubt}") from None


def _engine(url: str | sa.URL, wait: float, *, writable: bool) -> sa.Engine:
    address = sa.make_url(url)
    if address.drivername in {"postgres", "postgresql"}:
        address = address.set(drivername="postgresql+psycopg")
    if not writable:
        return looking_engine(address, wait)
    if address.get_backend_name() == "postgresql":
        from activities.clients.ledger_postgresql import postgresql  # noqa: PLC0415 - its driver is an extra

        return postgresql(address, wait)
    engine = sa.create_engine(address, connect_args={"timeout": wait})
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begins)
    return engine


def _sqlite_connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself: _sqlite_begins does
    connection.execute("PRAGMA journal_mode = WAL")


def _sqlite_begins(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")
