"""SSH connections, one kept open for each host, its key always checked."""

import asyncio
from datetime import timedelta
from pathlib import PurePosixPath
from typing import cast

import asyncssh

from activities.clients import known_hosts
from activities.errors import Refused, StepError, Unreachable
from activities.secret import read_secret
from runbook.project import SshTable
from runbook.trouble import Cause

_LARGEST_FILE = 1024 * 1024
_KEEPALIVE_SECONDS, _KEEPALIVES_MISSED = 5, 3
# Before what else the host takes: a packet costs a sixth of what it does with asyncssh's first choice, ChaCha20.
_CIPHERS = "^aes*-gcm@openssh.com"
# OpenSSH refuses an eleventh session on one connection, unless its MaxSessions says otherwise.
_READS_AT_ONCE = 4

# The socket differs per engine, not per connection.
_Key = tuple[str, int, str, str | None, str | None]


class Ssh:
    """The connections of one worker; close them with `close`."""

    def __init__(self, connect_within: timedelta = timedelta(seconds=10)) -> None:
        self._within = connect_within.total_seconds()
        self._kept: dict[_Key, asyncssh.SSHClientConnection] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}
        self._reads: dict[_Key, asyncio.Semaphore] = {}

    async def connection(self, table: SshTable, host: str) -> asyncssh.SSHClientConnection:
        """The host's connection, opened when there is none or it was lost.

        Raises:
            Refused: unknown or changed host key, login not accepted, private key not usable.
            Unreachable: no answer in time, or the connection broke.
        """
        key = _key(table, host)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is None or kept.is_closed():
                kept = self._kept[key] = await self._opened(table, host)
            return kept

    async def read(self, table: SshTable, host: str, path: str) -> bytes:
        """A file of the host, at most 1 MiB, over SFTP.

        Raises:
            Refused: no such file, not readable, too large, or the host offers no SFTP.
            Unreachable: the connection broke.
        """
        connection = await self.connection(table, host)
        reading = self._reads.setdefault(_key(table, host), asyncio.Semaphore(_READS_AT_ONCE))
        try:
            async with reading, connection.start_sftp_client() as sftp, sftp.open(path, "rb") as file:
                content = cast("bytes", await file.read(_LARGEST_FILE + 1))
        except asyncssh.SFTPNoSuchFile:
            raise Refused(f"{host} has no file {path}: put it there, {table.user} must be able to read it") from None
        except asyncssh.SFTPPermissionDenied:
            raise Refused(
                f"{table.user} may not read {path} on {host}: grant it, {PurePosixPath(path).parent} too"
            ) from None
        except asyncssh.SFTPConnectionLost as error:
            raise _lost(host, error) from None
        except asyncssh.SFTPError as error:
            raise Refused(f"{path} on {host} can't be read ({error.reason}): is it a file?") from None
        except asyncssh.ChannelOpenError as error:
            raise Refused(
                f"{host} offers no SFTP ({error.reason}): enable `Subsystem sftp` in its sshd_config"
            ) from None
        except (OSError, asyncssh.Error) as error:
            raise _lost(host, error) from None
        if len(content) > _LARGEST_FILE:
            raise Refused(f"{path} on {host} is larger than {_LARGEST_FILE} bytes: is it the right file?")
        return content

    async def close(self) -> None:
        """End every connection."""
        kept = list(self._kept.values())
        self._kept.clear()
        for connection in kept:
            connection.close()
        for connection in kept:
            await connection.wait_closed()

    async def _opened(self, table: SshTable, host: str) -> asyncssh.SSHClientConnection:
        keys = known_hosts.trusted(table)
        where = f"{table.user}@{host} port {table.port}"
        try:
            return await asyncssh.connect(host, options=self._options(table, keys), port=table.port)
        except asyncssh.HostKeyNotVerifiable:
            raise _untrusted(table, host) from None
        except asyncssh.KeyExchangeFailed as error:
            if known_hosts.known(table, host):
                raise Refused(
                    f"{where}: no key type in common with {known_hosts.path_of(table)} ({error.reason}): {known_hosts.hint(table, host)}"
                ) from None
            raise _untrusted(table, host) from None
        except asyncssh.PermissionDenied as error:
            how = f"key {table.key}" if table.key else "the worker's agent or own keys"
            raise Refused(
                f"{where} does not accept {how} ({error.reason}): add its public key to authorized_keys there",
                cause=Cause.CREDENTIALS,
            ) from None
        except (OSError, TimeoutError, asyncssh.Error) as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"{where} can't be reached ({said}): is it up, and is its sshd?") from None

    def _options(self, table: SshTable, keys: asyncssh.SSHKnownHosts) -> asyncssh.SSHClientConnectionOptions:
        options = asyncssh.SSHClientConnectionOptions(
            username=table.user,
            known_hosts=keys,
            # The project's file says it all: nobody's ~/.ssh/config turns production somewhere else.
            config=None,
            preferred_auth="publickey",
            encryption_algs=_CIPHERS,
            connect_timeout=self._within,
            login_timeout=self._within,
            keepalive_interval=_KEEPALIVE_SECONDS,
            keepalive_count_max=_KEEPALIVES_MISSED,
        )
        if not table.key:
            return options
        return asyncssh.SSHClientConnectionOptions(options, client_keys=[_private_key(table.key)], agent_path=None)


def _key(table: SshTable, host: str) -> _Key:
    return (host, table.port, table.user, table.key, table.known_hosts)


def _private_key(reference: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(read_secret(reference).get_secret_value() + "\n")
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise Refused(
            f"{reference} is no private key without a passphrase: give one in OpenSSH's or PEM form",
            cause=Cause.CREDENTIALS,
        ) from None


def _untrusted(table: SshTable, host: str) -> StepError:
    path = known_hosts.path_of(table)
    if known_hosts.known(table, host):
        return Refused(
            f"{host} port {table.port} shows another host key than {path} has: if the host was set up anew, "
            f"{known_hosts.forget(table, host)}, then {known_hosts.hint(table, host)}; if not, somebody is in between"
        )
    return Refused(
        f"{host} port {table.port} shows a host key that {path} does not have: {known_hosts.hint(table, host)}"
    )


def _lost(host: str, error: Exception) -> Unreachable:
    return Unreachable(f"the connection to {host} broke ({str(error) or type(error).__name__}); tried again")
