"""A PostgreSQL that takes every byte and answers nothing: no step waits for it for good."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import TypeVar

import pytest
import sqlalchemy as sa

from activities.clients.ledger import Ledger
from activities.errors import Unreachable
from tests.activities.clients.test_ledger import entry, order
from tests.postgresql import postgresql_server

T = TypeVar("T")
WAIT = 1.0
# A connection that was there is asked first, then a new one is tried; what is new has two seconds in any case.
LONGEST = 2 * (WAIT + 2) + 4


class Wire:
    """The way to a server. While it hangs it still takes what is sent, and carries nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = ""
        self._open = asyncio.Event()
        self._open.set()
        self._writers: list[asyncio.StreamWriter] = []
        self.hangs_at: bytes | None = None
        """What is carried no more, nor anything after it."""

    def hang(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self.hangs_at = None
        self._open.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, outer]
        await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self.go_on()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if self.hangs_at and self.hangs_at in chunk:
                    self.hang()
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
        await self._open.wait()
        writer.transport.abort()


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture
def direct(server: str) -> Generator[Ledger]:
    """Another worker's, whose way to the server is fine."""
    ledger = Ledger(server, WAIT)
    yield ledger
    ledger.close()


@pytest.fixture
async def wire(server: str) -> AsyncGenerator[Wire]:
    wire = Wire(sa.make_url(server).port or 0)
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as listening:
        port = int(listening.sockets[0].getsockname()[1])
        wire.url = str(sa.make_url(server).set(port=port))
        yield wire
        wire.close()
        # What it carried ends here.
        await asyncio.sleep(0.05)


@pytest.fixture
async def ledger(wire: Wire) -> AsyncGenerator[Ledger]:
    ledger = Ledger(wire.url, WAIT)
    yield ledger
    wire.go_on()
    ledger.close()


async def ended(wire: Wire, work: Awaitable[T]) -> T:
    """What comes of it in the time that it may take; else nobody goes on waiting."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=LONGEST)
    wire.go_on()
    if not done:
        await asyncio.wait({task})
    assert done, f"it took more than {LONGEST} s"
    return await task


async def test_a_server_that_hangs_is_away_and_is_used_again_when_it_is_back(wire: Wire, ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("hangs/1")])
    wire.hang()
    with pytest.raises(Unreachable, match="the ledger at"):
        await ended(wire, ledger.keep(order(), [entry("hangs/2")]))
    await ledger.keep(order(), [entry("hangs/2")])
    assert await ledger.has("hangs/2")
    assert await ledger.verify() is None


async def test_a_server_that_hangs_from_the_beginning_is_away(wire: Wire, ledger: Ledger) -> None:
    wire.hang()
    calls = [ledger.keep(order(), [entry(f"never/{number}")]) for number in range(4)]
    for found in await ended(wire, asyncio.gather(*calls, return_exceptions=True)):
        assert isinstance(found, Unreachable), found


async def test_a_read_ends_as_well(wire: Wire, ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("read/1")])
    wire.hangs_at = b"ORDER BY"
    with pytest.raises(Unreachable, match="no answer for 3 s"):
        await ended(wire, ledger.rows("shop"))
    assert await ledger.rows("shop")


async def test_a_cancelled_call_ends_with_its_limit(wire: Wire, ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("cancelled/1")])
    wire.hang()
    keeping = asyncio.create_task(ledger.keep(order(), [entry("cancelled/2")]))
    await asyncio.sleep(0.1)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended(wire, keeping)


async def test_a_writer_that_is_cut_off_in_the_middle_keeps_nobody_out(
    wire: Wire, ledger: Ledger, direct: Ledger
) -> None:
    await ledger.keep(order(), [entry("middle/1")])
    wire.hangs_at = b"INSERT INTO"
    with pytest.raises(Unreachable, match="no answer for 3 s"):
        await ledger.keep(order(), [entry("middle/2")])
    until = time.monotonic() + LONGEST
    while True:
        try:
            await direct.keep(order(), [entry("middle/3")])
            break
        except Unreachable:
            assert time.monotonic() < until, "the lock is still held"
    assert not await direct.has("middle/2")
    assert await direct.verify() is None


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(ledger: Ledger) -> None:
    with pytest.raises(Unreachable, match="statement timeout"):
        await ledger._read(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(60)"))
    assert await ledger.head()


async def test_a_writer_that_waits_for_another_too_long_says_so(server: str, ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("lock/1")])
    other = sa.create_engine(server.replace("postgresql:", "postgresql+psycopg:"))
    with other.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(7742665301)")
        with pytest.raises(Unreachable, match="lock timeout"):
            await ledger.keep(order(), [entry("lock/2")])
    other.dispose()
