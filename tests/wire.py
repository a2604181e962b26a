"""A wire to Temporal on which answers are held back: what is asked arrives, and nobody hears what became of it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression

from tests.servers import TemporalServer


class Wire:
    """`hold` answers from the request on that carries these bytes, until `let_go`: late ones arrive whole and in order."""

    def __init__(self, temporal: TemporalServer) -> None:
        self._temporal = temporal
        self._free = asyncio.Event()
        self._free.set()
        self._holding = asyncio.Event()
        self._at: bytes | None = None
        self.port = 0

    def hold(self, at: bytes) -> None:
        self._at = at

    async def held(self) -> None:
        """Until that request was on its way."""
        async with asyncio.timeout(60):
            await self._holding.wait()

    def let_go(self) -> None:
        self._free.set()

    async def connect(self) -> Client:
        """Nothing is compressed, so that a request can be told by what it carries."""
        return await Client.connect(
            f"127.0.0.1:{self.port}",
            namespace=self._temporal.namespace,
            data_converter=pydantic_data_converter,
            grpc_compression=GrpcCompression.NONE,
        )

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._temporal.port)
        # A client that is dropped says no goodbye, and the test's loop cancels what is left of the wire.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._there(reader, requests), self._back(answers, writer))
        for end in (writer, requests):
            end.close()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65536):
            if self._at is not None and self._at in content:
                self._at = None
                self._free.clear()
                self._holding.set()
            writer.write(content)
            await writer.drain()
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65536):
            await self._free.wait()
            writer.write(content)
            await writer.drain()


@contextlib.asynccontextmanager
async def wire(temporal: TemporalServer) -> AsyncGenerator[Wire]:
    made = Wire(temporal)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.let_go()
        server.close()
