"""Which host keys are trusted: read from a known_hosts file, never learned by connecting."""

import os
from pathlib import Path

import asyncssh

from activities.errors import Refused
from runbook.project import SshTable

_OWN = Path("~/.ssh/known_hosts")
_SSH_PORT = 22


def path_of(table: SshTable) -> Path:
    """The file that this table's hosts are checked against."""
    return Path(table.known_hosts) if table.known_hosts else _OWN.expanduser()


def trusted(table: SshTable) -> asyncssh.SSHKnownHosts:
    """What the file says now, so that a line added a moment ago counts.

    Raises:
        Refused: the file can't be read, or is no known_hosts file. A missing one trusts nobody.
    """
    path = path_of(table)
    if not path.exists():
        return asyncssh.import_known_hosts("")
    if not os.access(path, os.R_OK):
        raise Refused(f"known_hosts file {path} can't be read by the worker: give its user the right to")
    try:
        return asyncssh.import_known_hosts(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(
            f"known_hosts file {path} can't be used ({type(error).__name__}): correct it with ssh-keygen -l -f {path}"
        ) from None


def known(table: SshTable, host: str) -> bool:
    """Whether the file has a key for the host at the table's port, without asking the host."""
    port = None if table.port == _SSH_PORT else table.port
    host_keys, authorities, _, certificates, _, subjects, _ = trusted(table).match(host, "", port)
    return bool(host_keys or authorities or certificates or subjects)


def hint(table: SshTable, host: str) -> str:
    """The command that learns the host's key, and the one that checks it."""
    path = path_of(table)
    return (
        f"run `ssh-keyscan -p {table.port} {host} >> {path}`, then compare `ssh-keygen -l -F "
        f"{_as_written(table, host)} -f {path}` with `ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub` on the host itself"
    )


def forget(table: SshTable, host: str) -> str:
    """The command that drops the key in the file."""
    return f"`ssh-keygen -R {_as_written(table, host)} -f {path_of(table)}`"


def _as_written(table: SshTable, host: str) -> str:
    return host if table.port == _SSH_PORT else f"'[{host}]:{table.port}'"
