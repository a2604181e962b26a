"""A real HTTP service on loopback whose answers a test changes while it runs."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from runbook.project import EnvironmentTable


@dataclass
class Service:
    """What `/health` and `/version` answer; `asked` counts; `hears` is called before each answer."""

    port: int = 0
    health: tuple[int, str] = (200, '{"status": "ok"}')
    version: tuple[int, str] = (200, '{"version": "v1.4.0"}')
    asked: dict[str, int] = field(default_factory=dict)
    hears: Callable[["Service"], object] = lambda _: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self, status: str) -> None:
        self.health = (200, json.dumps({"status": status}))

    def says(self, version: str) -> None:
        self.version = (200, json.dumps({"version": version}))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.asked[path] = self.asked.get(path, 0) + 1
            self.hears(self)
            code, body = {"/health": self.health, "/version": self.version}.get(path, (404, "no such page"))
            head = f"HTTP/1.1 {code} Said\r\ncontent-length: {len(body.encode())}\r\nconnection: close\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def service() -> AsyncGenerator[Service]:
    running = Service()
    server = await asyncio.start_server(running.answer, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()


def environment(port: int, **changes: object) -> EnvironmentTable:
    """An environment of one host, 127.0.0.1, whose service answers at this port."""
    table = {
        "hosts": ["127.0.0.1"],
        "port": port,
        "container": "shop",
        "env_file": "/etc/opt/shop/production.env",
        "health": "http://{host}:{port}/health",
        "version": "http://{host}:{port}/version",
        "ssh": {"user": "runbook"},
        **changes,
    }
    return EnvironmentTable.model_validate(table)
