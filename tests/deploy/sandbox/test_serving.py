import asyncio
import socket
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deploy.sandbox.serving import PLAIN, serve, serving


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def never(_: Request) -> Response:
    await asyncio.Event().wait()
    return PlainTextResponse("never")


APP = Starlette(routes=[Route("/", hello), Route("/never", never)])


async def test_an_app_is_served_on_a_free_port_and_gone_after_close() -> None:
    served = await serve(APP)
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as client:
        assert (await client.get("/")).text == "hello"

        await served.close()

        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_an_app_is_served_on_a_socket_file_that_an_earlier_one_left(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    for _ in range(2):
        async with (
            serving(APP, uds=path) as served,
            httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url=served.url) as client,
        ):
            assert (await client.get("/")).text == "hello"


async def test_a_request_that_never_ends_holds_up_closing_for_a_second_only() -> None:
    served = await serve(APP)
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as client:
        request = asyncio.create_task(client.get("/never"))
        while not served.server.server_state.tasks:
            await asyncio.sleep(0.01)
        started = time.monotonic()

        await served.close()

        assert time.monotonic() - started < 30
        with pytest.raises(httpx.HTTPError):
            await request


async def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await serve(APP, port=taken.getsockname()[1])
