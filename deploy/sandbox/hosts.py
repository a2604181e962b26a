"""An SSH host: keys only, one UNIX socket, files below one folder, forwarding to loopback; no shell."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import asyncssh
from pydantic import BaseModel, ConfigDict, Field

from deploy.sandbox.host_door import Door

Outage = Literal["refuse", "hang"]


class HostSettings(BaseModel):
    """`folder` is the host's file system as SFTP shows it; `engine` is the real path of what is asked for as `socket`."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    port: int = Field(ge=0)
    folder: Path
    engine: Path
    host_key: Path
    authorized_keys: list[Path]
    user: str = "deploy"
    socket: str = "/var/run/docker.sock"


class Host:
    """Serves from `start` to `close`; between them it can be cut, be down for a while, or show another key."""

    def __init__(self, settings: HostSettings) -> None:
        self.settings = settings
        self.port = settings.port
        self._clients = [asyncssh.read_public_key(path) for path in settings.authorized_keys]
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._key = asyncssh.read_private_key(settings.host_key)
        self._listener: asyncssh.SSHAcceptor | None = None
        self._silence: asyncio.Server | None = None
        self._return: asyncio.TimerHandle | None = None
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        return self._listener is not None

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        """Listens, on the port it had before if it had one."""
        settings = self.settings
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._listener = await asyncssh.listen(
            settings.address,
            self.port,
            server_factory=self._door,
            server_host_keys=[self._key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(settings.folder).encode()),
            allow_scp=False,
            agent_forwarding=False,
            reuse_address=True,
            # A test that opens a hundred connections at once is not an attack.
            backlog=256,
        )
        self.port = self._listener.get_port()

    async def close(self) -> None:
        self._stay_away()
        await self._leave()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> int:
        """Aborts every connection, as a network that breaks; answers how many there were."""
        cut = list(self._connections)
        for connection in cut:
            connection.abort()
        return len(cut)

    async def down(
        self,
        seconds: float | None = None,
        mode: Outage = "refuse",
        *,
        and_then: Callable[[], None] | None = None,
    ) -> None:
        """Cuts everything and refuses (or accepts and says nothing), for `seconds` or until `up`.

        `and_then` is called when the seconds are over.
        """
        self._stay_away()
        async with self._changing:
            await self._leave()
            if mode == "hang":
                self._silence = await asyncio.start_server(_say_nothing, self.settings.address, self.port)
        if seconds is not None:
            self._return = asyncio.get_running_loop().call_later(seconds, self._come_back, and_then)

    async def up(self) -> None:
        self._stay_away()
        async with self._changing:
            if self._listener is None:
                await self._leave()
                await self.start()

    async def use_key(self, key: asyncssh.SSHKey | None) -> None:
        """Shows another host key (None: its own again) to connections from now on."""
        self._key = key or asyncssh.read_private_key(self.settings.host_key)
        async with self._changing:
            if self._listener is not None:
                await self._leave()
                await self.start()

    def _come_back(self, and_then: Callable[[], None] | None) -> None:
        if and_then:
            and_then()
        task = asyncio.get_running_loop().create_task(self.up())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stay_away(self) -> None:
        if self._return:
            self._return.cancel()
            self._return = None

    async def _leave(self) -> None:
        listener, self._listener = self._listener, None
        silence, self._silence = self._silence, None
        for server in (listener, silence):
            if server:
                server.close()
        self.cut()
        if listener:
            await listener.wait_closed()

    def _door(self) -> Door:
        settings = self.settings
        return Door(
            user=settings.user,
            keys=self._clients,
            connections=self._connections,
            sockets={settings.socket: settings.engine},
            address=settings.address,
        )


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass
    writer.close()
