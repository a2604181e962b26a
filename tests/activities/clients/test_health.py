import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest

from activities.answers import ask
from activities.clients.health import LARGEST_BODY, Answer, HttpProbe
from activities.errors import Refused, Unreachable
from runbook.trouble import Cause

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[str]:
    """A real server on loopback that answers each connection with `handler`."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(body: bytes, status: str = "200 OK", extra: str = "") -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


@pytest.fixture
async def probe() -> AsyncGenerator[HttpProbe]:
    probe = HttpProbe(within=1.0)
    yield probe
    await probe.aclose()


async def test_json_is_parsed(probe: HttpProbe) -> None:
    async with serving(saying(b'{"status": "ok", "version": "v1.4.0"}')) as url:
        answer = await probe.look(url + "/health")
    assert answer.status == 200
    assert answer.body == {"status": "ok", "version": "v1.4.0"}
    assert 0 < answer.ms < 1000
    assert answer.said == '200 {"status":"ok","version":"v1.4.0"}'


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b"v1.4.0\n", "v1.4.0"),
        (b'"v1.4.0"', "v1.4.0"),
        (b"1.4", "1.4"),
        (b"", None),
        (b" \n", None),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 60_000, "[" * 60_000),
    ],
)
async def test_what_is_not_json_stays_text(probe: HttpProbe, content: bytes, body: str | None) -> None:
    async with serving(saying(content)) as url:
        assert (await probe.look(url)).body == body


async def test_an_error_status_is_an_answer_with_its_body(probe: HttpProbe) -> None:
    async with serving(saying(b"starting", "503 Service Unavailable")) as url:
        answer = await probe.look(url)
    assert (answer.status, answer.body) == (503, "starting")


async def test_a_redirect_is_not_followed(probe: HttpProbe) -> None:
    async with serving(saying(b"", "302 Found", "location: /elsewhere\r\n")) as url:
        assert (await probe.look(url)).status == 302


async def test_at_most_64_kib_of_a_body_are_read(probe: HttpProbe) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as url:
        answer = await probe.look(url)
    assert isinstance(answer.body, str)
    assert len(answer.body) == LARGEST_BODY
    assert answer.cut


@pytest.mark.parametrize("status", ["DOWN", "UP"])
async def test_an_answer_that_was_cut_is_not_healthy_whatever_it_began_with(probe: HttpProbe, status: str) -> None:
    body = json.dumps({"version": "v1.4.0", "status": status, "more": "x" * 70_000}).encode()
    async with serving(saying(body)) as url:
        answer = await probe.look(url)
        seen = await ask(probe, url, url, "1.4.0")
    assert (answer.cut, answer.healthy, answer.version) == (True, False, None)
    assert answer.said.startswith("200 (cut at 64 KiB, so not believed: make it shorter) {")
    assert seen.fault is not None
    assert f"{url} says 200 (cut at 64 KiB" in seen.fault.what


@pytest.mark.parametrize("less", [0, 1])
async def test_an_answer_of_64_kib_is_whole(probe: HttpProbe, less: int) -> None:
    body = json.dumps({"status": "ok", "more": ""})
    body = body.replace('""', f'"{"x" * (LARGEST_BODY - len(body) - less)}"')
    async with serving(saying(body.encode())) as url:
        answer = await probe.look(url)
    assert len(body) == LARGEST_BODY - less
    assert (answer.cut, answer.healthy) == (False, True)


async def test_a_version_that_was_cut_is_none(probe: HttpProbe) -> None:
    async with serving(saying(b"v1.4.0" + b" " * LARGEST_BODY + b"-rc.1")) as url:
        assert (await probe.look(url)).version is None


async def test_a_refused_connection_is_unreachable_and_names_the_address(probe: HttpProbe) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/health"
        with pytest.raises(Unreachable, match=url) as caught:
            await probe.look(url)
    assert caught.value.cause is Cause.UNREACHABLE
    assert "\n" not in str(caught.value)


async def test_a_server_that_drips_is_given_up_after_the_whole_time(probe: HttpProbe) -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(dripping) as url:
        with pytest.raises(Unreachable, match=rf"no answer from {url}/health within 1 s"):
            await probe.look(url + "/health")


async def test_a_broken_off_answer_is_unreachable(probe: HttpProbe) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
        await writer.drain()

    async with serving(cut) as url:
        with pytest.raises(Unreachable, match="no answer from"):
            await probe.look(url)


async def test_no_connection_is_kept_for_the_next_look(probe: HttpProbe) -> None:
    """A kept one would speak to the container that was replaced."""
    connections = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await saying(b"ok")(reader, writer)
            await reader.readuntil(b"\r\n\r\n")

    async with serving(counting) as url:
        await probe.look(url)
        await probe.look(url)
    assert connections == 2


@pytest.mark.parametrize("address", ["http://[::1", "ftp://shop.example.net/health", "shop.example.net"])
async def test_what_is_no_address_is_refused(probe: HttpProbe, address: str) -> None:
    with pytest.raises(Refused, match="not an address"):
        await probe.look(address)


def test_evidence_of_an_answer_is_one_short_printable_line() -> None:
    said = Answer(200, "a\nb\x1b[31m" + "c" * 500, 1.0).said
    assert said.startswith("200 a b\ufffd[31mc")
    assert len(said) == 200
    assert Answer(204, None, 1.0).said == "204 (empty)"


@pytest.mark.parametrize(
    ("status", "body", "healthy"),
    [
        (200, {"status": "ok"}, True),
        (200, {"status": "UP"}, True),
        (200, {"status": "Healthy"}, True),
        (200, {"status": "pass"}, True),
        (200, {"version": "v1.4.0"}, True),
        (200, "fine", True),
        (200, None, True),
        (200, {"status": "degraded"}, False),
        (200, {"status": None}, False),
        (200, {"status": ""}, False),
        (204, None, False),
        (302, None, False),
        (503, {"status": "ok"}, False),
    ],
)
def test_only_a_200_that_does_not_say_otherwise_is_healthy(status: int, body: Any, healthy: bool) -> None:
    assert Answer(status, body, 1.0).healthy is healthy


@pytest.mark.parametrize(
    ("status", "body", "version"),
    [
        (200, {"version": "v1.4.0"}, "v1.4.0"),
        (200, "1.4.0-rc.1", "1.4.0-rc.1"),
        (200, {"version": 14}, None),
        (200, {"build": "1.4.0"}, None),
        (200, "<html>sign in</html>", None),
        (200, ["1.4.0"], None),
        (200, None, None),
        (500, {"version": "1.4.0"}, None),
    ],
)
def test_the_version_is_what_a_200_states(status: int, body: Any, version: str | None) -> None:
    assert Answer(status, body, 1.0).version == version


def test_the_version_is_compared_exactly() -> None:
    assert Answer(200, "v1.4.0", 1.0).is_version("1.4.0")
    assert Answer(200, "1.4.0", 1.0).is_version("1.4.0")
    for other in ("1.4.00", "1.4.0-rc.1", "v1.4", "V1.4.0", "vv1.4.0"):
        assert not Answer(200, other, 1.0).is_version("1.4.0")
