"""The hosts as the activities see them: an engine to speak to and files to read, over one kept connection each."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh

from activities.clients import known_hosts
from activities.clients.caddy import Caddy
from activities.clients.engine import Engine
from activities.clients.engine_errors import SPEAKING
from activities.clients.engine_forward import Forwards, why_silent
from activities.clients.engine_socket import dial
from activities.clients.health import HttpProbe
from activities.clients.http import through
from activities.clients.ssh import Ssh
from activities.clients.ways import Ways
from activities.heartbeat import in_thread
from runbook.project import EnvironmentTable, SshTable
from runbook.proxy_table import ProxyTable

_Key = tuple[str, SshTable]
_ADMIN_WAIT = timedelta(seconds=20)
_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class _Kept:
    connection: asyncssh.SSHClientConnection
    socket: Path
    api: Any
    engine: Engine
    ways: Ways


class Hosts:
    """All hosts of one worker; close it with `close`."""

    def __init__(self, connect_within: timedelta = timedelta(seconds=10)) -> None:
        self._ssh = Ssh(connect_within)
        self._forwards = Forwards()
        self._kept: dict[_Key, _Kept] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}

    async def engine(self, environment: EnvironmentTable, host: str) -> Engine:
        """The host's engine, its API version agreed upon.

        Raises:
            Refused: host key, login or the right to use the engine; the message says what to do.
            Unreachable: no answer from the host or its engine.
        """
        return (await self._reached(environment, host)).engine

    async def proxy(self, environment: EnvironmentTable, table: ProxyTable, host: str) -> Caddy:
        """The host's proxy, as far as it is this service's; errors as of `Ways.to`."""
        ways = (await self._reached(environment, host)).ways
        return Caddy(through(await ways.to(table.admin), _ADMIN_WAIT), host, table)

    async def inside(self, environment: EnvironmentTable, host: str, upstream: str) -> HttpProbe:
        """A probe of what answers at this `address:port` of the host's own networks; errors as of `Ways.to`."""
        ways = (await self._reached(environment, host)).ways
        client = through(await ways.to(upstream), timedelta(seconds=_LOOK_SECONDS))
        return HttpProbe(within=_LOOK_SECONDS, client=client)

    async def _reached(self, environment: EnvironmentTable, host: str) -> _Kept:
        table = environment.ssh
        key = (host, table)
        async with self._locks.setdefault(key, asyncio.Lock()):
            connection = await self._ssh.connection(table, host)
            kept = self._kept.get(key)
            if kept is None or kept.connection is not connection:
                self._drop(key)
                kept = self._kept[key] = await self._opened(connection, table, host)
            return kept

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes:
        """A file of the host, at most 1 MiB; errors as of `Ssh.read`."""
        return await self._ssh.read(environment.ssh, host, path)

    def known(self, environment: EnvironmentTable, host: str) -> bool:
        """Whether known_hosts has a key for the host, without asking the host."""
        return known_hosts.known(environment.ssh, host)

    async def close(self) -> None:
        for key in list(self._kept):
            self._drop(key)
        await self._ssh.close()
        self._forwards.close()

    async def _opened(self, connection: asyncssh.SSHClientConnection, table: SshTable, host: str) -> _Kept:
        socket = await self._forwards.open(connection, table.socket, host)
        try:
            api = await in_thread(dial, socket)
        except SPEAKING:
            socket.unlink(missing_ok=True)
            trouble = await why_silent(connection, table, host)
            # A right granted meanwhile counts for new logins only.
            connection.close()
            await connection.wait_closed()
            raise trouble from None
        engine, ways = Engine(api, host, connection.is_closed), Ways(self._forwards, connection, table, host)
        return _Kept(connection, socket, api, engine, ways)

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept:
            kept.api.close()
            kept.socket.unlink(missing_ok=True)
            kept.ways.close()
