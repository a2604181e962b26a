"""What one SSH connection to a sandbox host may do."""

import ipaddress
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import asyncssh

_OWN = {"localhost", "127.0.0.1", "::1"}


class Door(asyncssh.SSHServer):
    """One connection: `sockets` maps the paths a client may ask for to the ones that are really there."""

    def __init__(
        self,
        *,
        user: str,
        keys: list[asyncssh.SSHKey],
        connections: set[asyncssh.SSHServerConnection],
        sockets: dict[str, Path],
        address: str,
    ) -> None:
        self._user = user
        self._keys = keys
        self._connections = connections
        self._sockets = sockets
        self._address = address
        self._connection: asyncssh.SSHServerConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncssh's signature
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002  # asyncssh's signature
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._user and key in self._keys

    def unix_connection_requested(self, dest_path: str) -> Any:
        real = self._sockets.get(dest_path)
        if real is None:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"no socket {dest_path} on this host"
            )
        return self._connection.forward_unix_connection(str(real))

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:  # noqa: ARG002  # asyncssh's signature
        """A host's own loopback is its one address here, for containers publish there."""
        where = self._address if dest_host in _OWN else dest_host
        if not _is_loopback(where):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"{dest_host} is not on this machine"
            )
        forwarder: Awaitable[Any] = self._connection.forward_connection(where, dest_port)
        return forwarder


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
