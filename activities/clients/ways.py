"""Ways from the worker to what only a host itself reaches, each a private socket brought through the host's SSH connection."""

import asyncio
from pathlib import Path
from typing import Any, cast

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from activities.clients.engine_forward import Forwards
from activities.errors import Refused, Unreachable
from runbook.project import SshTable

_REFUSED_WITHIN = 0.5


class Ways:
    """The ways of one connection: they last as long as it does. `close` removes their sockets."""

    def __init__(
        self, forwards: Forwards, connection: asyncssh.SSHClientConnection, table: SshTable, host: str
    ) -> None:
        self._forwards = forwards
        self._connection = connection
        self._table = table
        self._host = host
        self._known: dict[str, Path] = {}

    async def to(self, place: str) -> Path:
        """A local socket behind which this place of the host answers: `address:port`, or a UNIX socket's path.

        Raises:
            Refused: the host's sshd does not let the user open it.
            Unreachable: the connection broke.
        """
        known = self._known.get(place)
        if known is None:
            await self._must_be_allowed(place)
            known = self._known[place] = await self._forwards.open(self._connection, place, self._host)
        return known

    def close(self) -> None:
        for socket in self._known.values():
            socket.unlink(missing_ok=True)

    async def _must_be_allowed(self, place: str) -> None:
        """Asked once: behind a forwarded socket a refusal is only a closed connection. Nothing need be there yet.

        A host takes seconds to find nobody at an address of its own, and no time at all to refuse.
        """
        asking = asyncio.create_task(self._opened(place))
        done, _ = await asyncio.wait({asking}, timeout=_REFUSED_WITHIN)
        if done:
            asking.result()
        else:
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _opened(self, place: str) -> None:
        try:
            # asyncssh leaves the types of these methods open.
            opening = cast("Any", self._connection)
            if place.startswith("/"):
                _, writer = await opening.open_unix_connection(place)
            else:
                name, _, port = place.rpartition(":")
                _, writer = await opening.open_connection(name.strip("[]"), int(port))
            writer.close()
        except asyncssh.ChannelOpenError as error:
            if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise Refused(
                    f"{self._host} does not forward {place} to {self._table.user} ({error.reason}): "
                    "name it under PermitOpen in its sshd_config, as deploy/hosts.md shows"
                ) from None
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(
                f"the connection to {self._host} broke ({error or type(error).__name__}); tried again"
            ) from None
