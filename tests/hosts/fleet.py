"""A fleet: hosts with addresses of their own and a registry, on a network of their own."""

import contextlib
import os
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path

import asyncssh

from tests.hosts.claim import Claim
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.registries import Registry

_NEEDED = ("dockerd", "docker-registry", "ip", "iptables", "tc", "nsenter", "unshare", "setpriv")
_FIRST_HOST = 11


def lacking() -> str:
    """Why there can be no fleet on this machine; empty when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    missing += [] if Path("/usr/sbin/sshd").exists() else ["sshd"]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Fleet:
    """Everything of it ends with the process that made it, and is removed by `close` or by the next fleet."""

    def __init__(self) -> None:
        self.claim = Claim.take()
        self.network = Network(self.claim)
        self.folder = self.claim.folder
        self.hosts: list[Host] = []
        self._registries: list[Registry] = []
        self.key = self.new_key("client_key")
        self.network.up()

    def begin(self, names: Sequence[str], room: str = "2g") -> list[Host]:
        """Hosts that start side by side; they are ready when this returns."""
        begun: list[Host] = []
        for name in names:
            host = Host(self.network, _FIRST_HOST + len(self.hosts), name, room)
            self.hosts.append(host)
            host.begin(Path(f"{self.key}.pub").read_text())
            begun.append(host)
        for host in begun:
            host.ready()
        return begun

    def registry(self, name: str, *, auth: bool = False, broken: bool = False, of: Registry | None = None) -> Registry:
        registry = Registry(self.network, name, 5000 + len(self._registries))
        self._registries.append(registry)
        return registry.start(auth=auth, broken=broken, of=of)

    def new_key(self, name: str) -> Path:
        """A private key; its public half lies beside it."""
        path = self.folder / name
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(path)
        key.write_public_key(f"{path}.pub")
        return path

    def known_hosts(self, name: str = "known_hosts") -> Path:
        """A file with the key that each host has now."""
        path = self.folder / name
        path.write_text("".join(f"{host.address} {host.host_key}\n" for host in self.hosts))
        return path

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        for registry in self._registries:
            registry.close()
        self.claim.clean()
        self.claim.release()


@contextlib.contextmanager
def fleet() -> Generator[Fleet]:
    made = Fleet()
    try:
        yield made
    finally:
        made.close()
