"""A real webhook on loopback: it keeps what it is sent, and can be told to refuse."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

TOKEN = "s3cret-of-the-hook"


@dataclass
class Hook:
    port: int = 0
    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """As apprise spells it, with a token in it."""
        return f"json://alice:{TOKEN}@127.0.0.1:{self.port}/{TOKEN}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            content = json.loads(await reader.readexactly(length))
            if self.status == 200:
                self.taken.append(content)
            writer.write(f"HTTP/1.1 {self.status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def hook() -> AsyncGenerator[Hook]:
    running = Hook()
    server = await asyncio.start_server(running.answer, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
