"""A PostgreSQL under the ledger that is asked with limits: one that hangs is away, like one that is down."""

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

T = TypeVar("T")

# The server's own word says more than its silence, and so comes first: the lock, then the statement, then that.
_LATER = 1.0


def postgresql(address: sa.URL, wait: float) -> sa.Engine:
    """`wait`: seconds for a connection, for another writer, and about as many for an answer."""
    engine = sa.create_engine(
        address,
        pool_pre_ping=True,
        pool_timeout=wait,
        isolation_level="READ COMMITTED",
        connect_args=_unless_said(address, wait),
    )
    limits = _limits(wait)

    def connected(_dialect: Any, _record: Any, words: Any, options: Any) -> psycopg.Connection[Any]:
        made = _Connection.connect(*words, **options)
        made.silence = wait + 2 * _LATER
        return made

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(limits)

    event.listen(engine, "do_connect", connected)
    event.listen(engine, "begin", begun)
    return engine


class _Connection(psycopg.Connection[Any]):
    """Breaks off when nothing was heard for so many seconds of `silence`, as of a machine that is frozen or cut off.

    Its kernel, or whatever is between, may go on acknowledging what is sent, so that no limit of TCP's ever ends.
    """

    silence = 12.0

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        return super().wait(self._heard(gen), *args, **kwargs)

    def _heard(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """The same; psycopg resumes it several times a second, with nothing when there was nothing."""
        until = time.monotonic() + self.silence
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    until = time.monotonic() + self.silence
                elif time.monotonic() > until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer for {self.silence:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            found: T = end.value
            return found


def _unless_said(address: sa.URL, wait: float) -> dict[str, Any]:
    """How to notice that a connection is gone; what the ledger's address says itself counts."""
    seconds = max(1, math.ceil(wait))
    wanted = {
        "connect_timeout": seconds,
        "tcp_user_timeout": seconds * 1000,
        "keepalives_idle": seconds,
        "keepalives_interval": max(1, seconds // 3),
        "keepalives_count": 3,
    }
    return {name: value for name, value in wanted.items() if name not in address.query}


def _limits(wait: float) -> str:
    """Said in each transaction: a pooler in between would refuse them as options, or keep them for others.

    The last one is for a worker that is gone in the middle: its lock must not outlive it by TCP's two hours.
    """
    seconds = {
        "lock_timeout": wait,
        "statement_timeout": wait + _LATER,
        "idle_in_transaction_session_timeout": 3 * wait,
    }
    return "SELECT " + ", ".join(f"set_config('{name}', '{each * 1000:.0f}', true)" for name, each in seconds.items())
