"""A published port: connections to a host's address are carried to the port a container's process listens on."""

import asyncio
import contextlib
import socket
from typing import Self

_CHUNK = 65536


class PublishedPort:
    """Bound from `open` to `close`; nobody listens outside that time, so a connection is refused."""

    def __init__(self, listening: socket.socket, inner_port: int) -> None:
        self._listening = listening
        self._inner_port = inner_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._carried: set[asyncio.Task[None]] = set()
        self._reachable = True
        self.address, self.port = listening.getsockname()[:2]
        # asyncio's own server leaves a socket behind that it accepted just before it was closed.
        asyncio.get_running_loop().add_reader(listening, self._accept)

    @classmethod
    async def open(cls, address: str, port: int, inner_port: int) -> Self:
        """OSError (EADDRINUSE) where the port is taken; port 0 takes a free one."""
        listening = socket.create_server((address, port))
        listening.settimeout(0)
        return cls(listening, inner_port)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            accepted, _ = self._listening.accept()
            carried = asyncio.create_task(self._carry(accepted))
            self._carried.add(carried)
            carried.add_done_callback(self._carried.discard)

    async def _carry(self, accepted: socket.socket) -> None:
        """One connection, until either side ends; a process that does not listen yet resets it."""
        reader, writer = await asyncio.open_connection(sock=accepted)
        self._writers.add(writer)
        if not self._reachable:
            self._abort(writer)
            return
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
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
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
        self._reachable = False
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
