"""Serves an ASGI app inside the running event loop, on a port or a UNIX socket, with a way to cut a connection."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

CUT = "sandbox.cut"
GRACE_SECONDS = 1
LOOK_SECONDS = 0.005
# For clients of these servers, which speak plain HTTP: trusts nobody, and is spared 30 ms of reading certificates.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class Served:
    """A running server; `url` is `http://host:port`, or `http://unix` behind a UNIX socket."""

    url: str
    port: int
    server: "_QuietServer"
    task: asyncio.Task[None]

    async def close(self) -> None:
        """Ends the server; requests under way get one second."""
        self.server.told_to_end.set()
        await self.task


async def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 0, *, uds: Path | None = None) -> Served:
    """Starts `app` and returns once it accepts connections; port 0 takes a free one."""
    sock = _listen_on_path(uds) if uds else _listen_on_port(host, port)
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        # Docker tries TLS first on every registry: not worth a line each time.
        log_level="error",
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=60,
    )
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[sock]), name=f"serve {uds or sock.getsockname()}")
    while not server.started:
        if task.done():
            await task
            raise RuntimeError(f"the server on {uds or sock.getsockname()} ended while it started; see its log")
        await asyncio.sleep(LOOK_SECONDS)
    bound = 0 if uds else int(sock.getsockname()[1])
    return Served(url="http://unix" if uds else f"http://{host}:{bound}", port=bound, server=server, task=task)


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, host: str = "127.0.0.1", port: int = 0, *, uds: Path | None = None
) -> AsyncIterator[Served]:
    """The same as `serve`, closed at the end of the block."""
    served = await serve(app, host, port, uds=uds)
    try:
        yield served
    finally:
        await served.close()


def _listen_on_port(host: str, port: int) -> socket.socket:
    # asyncio spares us Nagle's 40 ms a request only where the protocol is named.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno, f"wanted to listen on {host}:{port}: {error.strerror}; choose another port"
        ) from error
    return sock


def _listen_on_path(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    return sock


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program whose loop it borrows, and ends without uvicorn's tenths of a second.

    A test suite starts and ends hundreds of these.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_end = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.told_to_end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(LOOK_SECONDS)
        await self._cut_off()
        await self.lifespan.shutdown()

    async def _cut_off(self) -> None:
        """What is still under way ends as it would with a killed server, without an answer."""
        for connection in list(self.server_state.connections):
            cast("CuttableProtocol", connection).cut()
        await asyncio.sleep(0)
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class CuttableProtocol(H11Protocol):
    """Hands every request a way to cut its own connection, so that a fault can look like a dying network."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CUT] = self.cut
            # Only the end of the server cancels a request, and by then nobody waits for the answer.
            with contextlib.suppress(asyncio.CancelledError):
                await inner(scope, receive, send)

        self.app = app

    def cut(self) -> None:
        self.transport.abort()
