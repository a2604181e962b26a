"""The client of Caddy's admin API against a real Caddy: a change counts only when all is as it was seen."""

import asyncio
import json
import subprocess
import sysconfig
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities.clients.caddy import Caddy, Traffic
from activities.clients.engine_errors import Moved
from activities.clients.http import through
from activities.errors import Refused, Unreachable
from deploy.sandbox.engine_http import local_client
from runbook.proxy_table import ProxyTable

PROGRAM = Path(sysconfig.get_path("scripts")) / "caddy"
BLUE, GREEN = "127.0.0.1:1", "127.0.0.1:2"
WAIT = timedelta(seconds=10)


def table(handler: str = "shop", admin: str = "localhost:2019") -> ProxyTable:
    return ProxyTable(handler=handler, network="shop", addresses=["10.0.0.2", "10.0.0.3"], admin=admin)


def handler(**keys: Any) -> dict[str, Any]:
    return {"@id": "shop", "handler": "reverse_proxy", **keys}


class Running:
    def __init__(self, folder: Path) -> None:
        self.admin, self.site = folder / "admin.sock", folder / "site.sock"

    def caddy(self, **names: Any) -> Caddy:
        return Caddy(through(self.admin, WAIT), "production-1", table(**names))

    async def load(self, *handlers: dict[str, Any]) -> None:
        """This configuration, with the handlers one after another in one route."""
        server = {"listen": [f"unix/{self.site}"], "routes": [{"handle": list(handlers)}]}
        config = {"admin": {"listen": f"unix/{self.admin}"}, "apps": {"http": {"servers": {"main": server}}}}
        async with local_client(timeout=10, uds=self.admin) as http:
            (await http.post("/load", json=config)).raise_for_status()
        await self._settled()

    async def _settled(self) -> None:
        """Until nothing is accepted any more by the admin API of before, which ends without an answer what it accepts."""
        answered = 0
        async with asyncio.timeout(10):
            while answered < 5:
                try:
                    await self.config()
                    answered += 1
                except httpx.TransportError:
                    answered = 0
                await asyncio.sleep(0.01)

    async def config(self) -> Any:
        async with local_client(timeout=10, uds=self.admin) as http:
            return (await http.get("/id/shop")).json()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Running]:
    made = Running(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"admin": {"listen": f"unix/{made.admin}"}}))
    places = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    words = [str(PROGRAM), "run", "--config", str(tmp_path / "config.json")]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(words, env=places, stdout=log, stderr=log) as process,
    ):
        async with asyncio.timeout(20):
            while not made.admin.exists():
                assert process.poll() is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.02)
        yield made
        process.kill()


async def test_a_handler_without_an_upstream_sends_to_nobody(running: Running) -> None:
    await running.load(handler(upstreams=[]))
    traffic = await running.caddy().traffic()
    assert (traffic.upstream, traffic.epoch, traffic.turn) == (None, 0, 0)


async def test_traffic_is_sent_on_and_says_who_sent_it(running: Running) -> None:
    await running.load(handler(upstreams=[{"dial": BLUE, "max_requests": 7}]))
    caddy = running.caddy()
    first = await caddy.traffic()
    assert (first.upstream, first.epoch) == (BLUE, 0)
    await caddy.send(first, GREEN, 10)
    second = await caddy.traffic()
    assert (second.upstream, second.epoch, second.turn) == (GREEN, 10, 1)
    await caddy.send(second, GREEN, 10)
    third = await caddy.traffic()
    assert (third.epoch, third.turn) == (10, 2)
    await caddy.send(third, BLUE, 20)
    fourth = await caddy.traffic()
    assert (fourth.upstream, fourth.epoch, fourth.turn) == (BLUE, 20, 1)
    # What else the configuration says of the upstream, and of the handler, is as it was.
    assert await running.config() == handler(upstreams=[{"@id": "shop:20:1", "dial": BLUE, "max_requests": 7}])


async def test_a_change_of_what_was_changed_meanwhile_changes_nothing(running: Running) -> None:
    await running.load(handler(upstreams=[{"dial": BLUE}]))
    caddy = running.caddy()
    seen = await caddy.traffic()
    await caddy.send(seen, GREEN, 20)
    with pytest.raises(Moved, match="changed by somebody else"):
        await caddy.send(seen, GREEN, 10)
    # Sent back and forth it is not as it was either.
    await caddy.send(await caddy.traffic(), BLUE, 20)
    with pytest.raises(Moved):
        await caddy.send(seen, GREEN, 10)
    now = await caddy.traffic()
    assert (now.upstream, now.epoch, now.turn) == (BLUE, 20, 2)


async def test_a_handler_that_was_moved_is_looked_at_again(running: Running) -> None:
    await running.load({"handler": "headers"}, handler(upstreams=[{"dial": BLUE}]))
    caddy = running.caddy()
    seen = await caddy.traffic()
    await running.load(handler(upstreams=[{"dial": BLUE}]))
    with pytest.raises(Moved):
        await caddy.send(seen, GREEN, 10)
    await running.load({"handler": "headers"})
    with pytest.raises(Refused, match="no handler with the @id shop"):
        await caddy.send(seen, GREEN, 10)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "has no upstreams in the handler shop, not even an empty list"),
        ({"upstreams": [{"dial": BLUE}, {"dial": GREEN}]}, "sends shop to 2 upstreams, and a release switches one"),
    ],
)
async def test_a_configuration_that_no_release_can_switch_is_refused(
    running: Running, keys: dict[str, Any], message: str
) -> None:
    await running.load(handler(**keys))
    with pytest.raises(Refused, match=message):
        await running.caddy().traffic()


async def test_a_handler_that_is_not_there_is_refused_by_its_name(running: Running) -> None:
    await running.load(handler(upstreams=[]))
    with pytest.raises(Refused, match=r"Caddy of production-1 has no handler with the @id till.*deploy/hosts\.md"):
        await running.caddy(handler="till").traffic()


async def test_what_caddy_does_not_take_is_told_in_its_own_words(running: Running) -> None:
    await running.load(handler(upstreams=[{"dial": BLUE}]))
    caddy = running.caddy()
    seen = await caddy.traffic()
    wrong = Traffic(seen.upstream, seen=seen.seen, entry={"no_such_key": 1})
    with pytest.raises(Unreachable, match=r"answered 500 .*unknown field"):
        await caddy.send(wrong, GREEN, 10)
    assert (await caddy.traffic()).upstream == BLUE


async def test_requests_under_way_are_counted_after_the_traffic_went_elsewhere(running: Running) -> None:
    answer = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        busy = "{}:{}".format(*server.sockets[0].getsockname())
        await running.load(handler(upstreams=[{"dial": busy}]))
        caddy = running.caddy()
        async with local_client(timeout=20, uds=running.site) as http:
            asking = asyncio.create_task(http.get("/"))
            async with asyncio.timeout(10):
                while await caddy.under_way(busy) != 1:
                    await asyncio.sleep(0.02)
            await caddy.send(await caddy.traffic(), GREEN, 10)
            assert (await caddy.under_way(busy), await caddy.under_way(GREEN)) == (1, 0)
            answer.set()
            assert (await asking).text == "ok"
        async with asyncio.timeout(10):
            while await caddy.under_way(busy):
                await asyncio.sleep(0.02)


async def test_nobody_there_is_unreachable_and_named(tmp_path: Path) -> None:
    caddy = Caddy(through(tmp_path / "none.sock", WAIT), "production-1", table())
    with pytest.raises(Unreachable, match=r"Caddy of production-1 did not answer at localhost:2019.*running there"):
        await caddy.traffic()


@pytest.mark.parametrize("cut", [httpx.RemoteProtocolError, httpx.ReadError])
async def test_a_look_that_its_change_of_admin_api_cut_is_looked_again_and_a_change_is_not_made_again(
    cut: type[httpx.TransportError],
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if asked.count(request.method) == 1:
            raise cut("Server disconnected without sending a response.")
        return httpx.Response(200, json=[{"dial": BLUE}], headers={"etag": "1"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        caddy = Caddy(http, "production-1", table())
        seen = await caddy.traffic()
        with pytest.raises(Unreachable, match="did not answer"):
            await caddy.send(seen, GREEN, 10)
    assert asked == ["GET", "GET", "PATCH"]


@pytest.mark.parametrize(("status", "kind"), [(200, Unreachable), (403, Refused), (502, Unreachable)])
async def test_what_is_no_admin_api_is_said(status: int, kind: type[Exception]) -> None:
    answers = httpx.MockTransport(lambda _: httpx.Response(status, text="<html>hello</html>"))
    async with httpx.AsyncClient(transport=answers) as http:
        with pytest.raises(kind, match="production-1"):
            await Caddy(http, "production-1", table()).traffic()
