"""A published port: connections to a host's address are carried to the port a container's process listens on."""

import asyncio
import contextlib
from typing import Self

_CHUNK = 65536


class PublishedPort:
    """Bound from `open` to `close`; nobody listens outside that time, so a connection is refused."""

    def __init__(self, server: asyncio.Server, address: str, port: int) -> None:
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._reachable = True
        self.address = address
        self.port = port

    @classmethod
    async def open(cls, address: str, port: int, inner_port: int) -> Self:
        """OSError (EADDRINUSE) where the port is taken; port 0 takes a free one."""
        published: Self

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await published.carry(reader, writer, inner_port)

        server = await asyncio.start_server(carry, address, port)
        published = cls(server, address, int(server.sockets[0].getsockname()[1]))
        return published

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: int) -> None:
        """One connection, until either side ends; a process that does not listen yet resets it."""
        self._writers.add(writer)
        if not self._reachable:
            self._abort(writer)
            return
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner)
        except OSError:
            self._abort(writer)
            return
        self._writers.add(inner_writer)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        self._abort(writer)
        self._abort(inner_writer)

    def set_reachable(self, *, reachable: bool) -> None:
        """While it is not, connections are cut at once, as on a host that lost its network."""
        self._reachable = reachable
        if not reachable:
            self._cut()

    async def close(self) -> None:
        """Releases the port and cuts what is still open."""
        self._server.close()
        self._cut()
        # One turn of the loop: an aborted transport leaves it there.
        await asyncio.sleep(0)

    def _cut(self) -> None:
        for writer in tuple(self._writers):
            self._abort(writer)

    def _abort(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
