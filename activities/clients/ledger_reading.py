"""How a ledger is opened by whoever only looks: nothing is made, and nothing is written, not even beside it."""

import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

_KINDS = ("sqlite", "postgresql")
_HOW = "name it as a path, as sqlite:////path/ledger.db or as postgresql+psycopg://…"


class NoLedger(Exception):
    """What was named can't be opened as a ledger; one line, without a password."""


class NoRows(Exception):
    """There is a database, and nothing in it that could be looked at; one line."""


def address_of(given: str) -> sa.URL:
    """Of a database's URL or a plain path. Raises NoLedger."""
    kind, is_url, _ = given.partition("://")
    if not is_url:
        return sa.URL.create("sqlite", database=given)
    try:
        address = sa.make_url(given)
    except (exc.ArgumentError, ValueError):
        # What it says may repeat the URL, and with it a password.
        raise NoLedger(f"the ledger's address, {kind}://…, can't be read: {_HOW}") from None
    if address.get_backend_name() not in _KINDS:
        raise NoLedger(f"{kind} is no database that can keep the ledger: {_HOW}")
    return address


@contextmanager
def undisturbed(address: sa.URL) -> Generator[sa.URL]:
    """Where to look: the ledger itself, or a copy where a look would leave something. Raises NoLedger without a file."""
    if address.get_backend_name() != "sqlite":
        yield address
        return
    path = Path(address.database or "").absolute()
    if not path.is_file():
        raise NoLedger(f"there is no ledger at {path}: no step was performed yet, or it is elsewhere; {_HOW}")
    log = _beside(path, "wal")
    if not log.exists() or _beside(path, "shm").exists():
        yield address.set(database=str(path))
        return
    # To read the log SQLite would make its index anew. Who had the ledger open would have made it: a copy is whole.
    with tempfile.TemporaryDirectory(prefix="release-runbook-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        yield address.set(database=str(Path(folder, path.name)))


def looking_engine(address: sa.URL, wait: float) -> sa.Engine:
    """`wait`: seconds for another process's lock, and for a server to take a connection."""
    if address.get_backend_name() != "sqlite":
        refusing = {"connect_timeout": max(1, int(wait)), "options": "-c default_transaction_read_only=on"}
        return sa.create_engine(address, connect_args=refusing)
    return sa.create_engine(address, creator=lambda: _opened(Path(address.database or "").absolute(), wait))


def _opened(path: Path, wait: float) -> sqlite3.Connection:
    # Without a log SQLite would make one, and an index, and leave both: unless it is told that nobody writes.
    how = "mode=ro" if _beside(path, "wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=wait, check_same_thread=False)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}-{what}")
