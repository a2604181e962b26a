"""The prober against a real server that goes away and comes back."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator

import pytest

from activities.clients.health import HttpProbe
from activities.downtime import Downtime, Looks
from deploy.sandbox.proxy import PublishedPort

WELL = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WELL)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def serving(port: int = 0) -> AsyncGenerator[int]:
    """A service behind a port of the sandbox's, which leaves no socket behind when it goes away in mid-request."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        published = await PublishedPort.open("127.0.0.1", port, int(server.sockets[0].getsockname()[1]))
        yield published.port
        await published.close()
        # What it carried here is ended here.
        await asyncio.sleep(0.05)


async def ticked(seconds: float) -> int:
    """How often something in this process can be done that is to be done 50 times a second: less where others work too."""
    ticks, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.02)
        ticks += 1
    return ticks


@pytest.fixture
async def probe() -> AsyncGenerator[HttpProbe]:
    made = HttpProbe(within=1)
    yield made
    await made.aclose()


async def test_a_service_that_stays_up_loses_nothing_and_is_asked_all_the_time(probe: HttpProbe) -> None:
    async with serving() as port, Downtime(probe, f"http://127.0.0.1:{port}/health", {}) as downtime:
        ticks = await ticked(2)
        seen = downtime.measured
    assert (seen.failures, seen.longest_gap, seen.was_up) == (0, 0.0, True)
    assert seen.requests >= ticks
    assert str(seen) == f"none of {seen.requests} requests failed"


async def test_the_gap_is_from_the_last_good_answer_to_the_next(probe: HttpProbe) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    async with Downtime(probe, f"http://127.0.0.1:{port}/health", {}) as downtime:
        async with serving(port):
            assert await downtime.answers(5)
            stopped = time.monotonic()
        assert not await downtime.answers(0.4)
        async with serving(port):
            assert await downtime.answers(5)
            took = time.monotonic() - stopped
            seen = downtime.measured
    assert seen.failures > 5
    assert 0.4 <= seen.longest_gap <= took + 0.2
    assert str(seen).startswith("down for 0.")


async def test_a_service_that_never_answered_was_not_taken_away(probe: HttpProbe) -> None:
    async with Downtime(probe, "http://127.0.0.1:9/health", {}) as downtime:
        assert not await downtime.answers(0.3)
        seen = downtime.measured
    assert (seen.longest_gap, seen.was_up) == (0.0, False)
    assert "no good answer" in str(seen)


def test_looks_are_judged_by_when_they_were_begun_whichever_ends_first() -> None:
    looks = Looks()
    for began, good in [(10.0, True), (13.0, True), (11.0, False), (12.0, False)]:
        looks.note(began, good=good)
    assert looks.measured(14.0).longest_gap == 3.0


def test_a_gap_that_is_not_over_counts_until_now() -> None:
    looks = Looks()
    looks.note(10.0, good=True)
    looks.note(11.0, good=False)
    assert looks.measured(17.5).longest_gap == 7.5


def test_the_next_attempt_goes_on_where_the_dead_one_was() -> None:
    first = Looks()
    first.note(10.0, good=True)
    first.note(11.0, good=False)
    second = Looks(first.to_hand_on())
    second.note(15.0, good=False)
    second.note(16.0, good=True)
    seen = second.measured(16.0)
    assert (seen.requests, seen.failures, seen.longest_gap) == (4, 2, 6.0)


def test_a_service_that_was_up_all_the_time_is_not_blamed_for_a_dead_worker() -> None:
    first = Looks()
    first.note(10.0, good=True)
    second = Looks(first.to_hand_on())
    second.note(60.0, good=True)
    assert second.measured(60.0).longest_gap == 0.0
