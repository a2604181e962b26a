"""A host's engine socket, or another place of the host, brought to a private socket of the worker through SSH."""

import asyncio
import contextlib
import itertools
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from activities.errors import Refused, StepError, Unreachable
from runbook.project import SshTable

_ASK_SECONDS = 10


class Forwards:
    """Sockets in a folder that only the worker's user may enter; `close` removes it."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._numbers = itertools.count(1)

    async def open(self, connection: asyncssh.SSHClientConnection, place: str, host: str) -> Path:
        """A local path behind which `place` answers, a socket's path or `address:port`, while the connection lasts."""
        path = self._next_path()
        try:
            if place.startswith("/"):
                await connection.forward_local_path(str(path), place)
            else:
                name, _, port = place.rpartition(":")
                await connection.forward_local_path_to_port(str(path), name.strip("[]"), int(port))
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(
                f"{place} of {host} can't be brought to {path} ({error}): is there room in its folder?"
            ) from None
        return path

    def close(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _next_path(self) -> Path:
        if self._folder is None:
            # Made with mode 0700. A short path: a UNIX socket's has at most 107 bytes.
            self._folder = Path(tempfile.mkdtemp(prefix="runbook-"))
        return self._folder / f"{next(self._numbers)}.sock"


async def why_silent(connection: asyncssh.SSHClientConnection, table: SshTable, host: str) -> StepError:
    """Why nothing answered behind the forwarded socket, where a refusal is only a closed connection."""
    who, socket = table.user, f"{host}:{table.socket}"
    try:
        # asyncssh leaves this method's types open.
        _, writer = await cast("Any", connection).open_unix_connection(table.socket)
        writer.close()
        reason = "something listens there, but does not speak like an engine"
    except asyncssh.ChannelOpenError as error:
        reason = error.reason
        if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
            return Refused(
                f"{host} does not forward {table.socket} to {who} ({reason}): "
                "set the right socket, or AllowStreamLocalForwarding in its sshd_config"
            )
    except (OSError, asyncssh.Error) as error:
        return Unreachable(f"the connection to {host} broke ({error or type(error).__name__}); tried again")
    if await _exits(connection, "test", "-e", table.socket) == 0 and await _exits(
        connection, "test", "-w", table.socket
    ):
        return Refused(f"{who} may not use the engine at {socket}: add {who} to the group docker on {host}, then retry")
    return Unreachable(f"no engine answers at {socket} ({reason}): is Docker running there, and may {who} use it?")


async def _exits(connection: asyncssh.SSHClientConnection, *words: str) -> int | None:
    """The command's exit status; None where the host runs no commands."""
    with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
        async with asyncio.timeout(_ASK_SECONDS):
            return (await connection.run(shlex.join(words), check=False)).exit_status
    return None
