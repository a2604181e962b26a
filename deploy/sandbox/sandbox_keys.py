"""The keys of a sandbox: one for the worker, one for each host, and the known_hosts file that joins them."""

from pathlib import Path

import asyncssh

from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.sandbox_place import Place
from deploy.sandbox.settings import Layout


def make_keys(layout: Layout, place: Place) -> None:
    """Makes what is missing; keys that are there stay."""
    layout.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(layout.client_key, "worker of the sandbox")
    lines = []
    for name, address in place.hosts.items():
        _make(layout.host_key(name), name)
        public = layout.host_key(name).with_suffix(".pub").read_text().split()
        lines.append(f"[{address}]:{place.ports['ssh']} {public[0]} {public[1]}\n")
    write_whole(layout.known_hosts, "".join(lines).encode())


def _make(path: Path, comment: str) -> None:
    if path.exists():
        return
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    # The public half first: a private key that is there means that both are.
    write_whole(path.with_suffix(".pub"), key.export_public_key())
    write_whole(path, key.export_private_key(), mode=0o600)
