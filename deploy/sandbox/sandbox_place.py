"""A sandbox's addresses, ports and secrets: chosen once, kept in its root, the same after a restart."""

import random
import secrets
from typing import Self

from pydantic import BaseModel, Field

from deploy.ports import free_port
from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.settings import Layout, Role, SandboxSettings

# Ports that people recognise, taken where they are free.
_USUAL = {"forge": 3000, "registry": 5000, "admin": 9000, "ssh": 2222, "staging": 8081, "production": 8080}
_FIRST = {"staging": 101, "production": 11}


class Place(BaseModel):
    """`network` is a /24 of 127.0.0.0/8: `.1` serves forge, registry and admin, every host has its own address."""

    network: str
    ports: dict[str, int]
    hosts: dict[str, str]
    forge_token: str = Field(repr=False)
    registry_password: str = Field(repr=False)

    @classmethod
    def settle(cls, layout: Layout, settings: SandboxSettings) -> Self:
        """The place kept in the root, with hosts added that it did not have; a new one where there is none."""
        found = cls.model_validate_json(layout.place.read_bytes()) if layout.place.exists() else cls._choose(settings)
        for name, role in settings.roles():
            found.hosts.setdefault(name, _address(found.network, name, role))
        write_whole(layout.place, found.model_dump_json(indent=2).encode(), mode=0o600)
        return found

    @property
    def services(self) -> str:
        """The address of forge, registry and admin."""
        return f"{self.network}.1"

    @property
    def registry(self) -> str:
        return f"{self.services}:{self.ports['registry']}"

    @classmethod
    def _choose(cls, settings: SandboxSettings) -> Self:
        # Of 64,000 networks: sandboxes side by side hardly meet, and where they do their ports differ.
        network = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        hosts = {name: _address(network, name, role) for name, role in settings.roles()}
        addresses = [f"{network}.1", *hosts.values()]
        return cls(
            network=network,
            ports={what: free_port(*addresses, preferred=usual) for what, usual in _USUAL.items()},
            hosts=hosts,
            forge_token=secrets.token_hex(20),
            registry_password=secrets.token_urlsafe(18),
        )


def _address(network: str, name: str, role: Role) -> str:
    return f"{network}.{_FIRST[role] + int(name.rpartition('-')[2]) - 1}"
