"""What whoever uses a running sandbox needs to know, as written to `sandbox.json`; no secret is in it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from deploy.sandbox.settings import EngineKind, Role


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ForgeFacts(Facts):
    """`repository` is the address to clone; `faults` takes fault rules, `token_env` names the variable in worker.env."""

    url: str
    repository: str
    owner: str
    name: str
    user: str
    token_env: str
    flavour: str
    faults: str


class RegistryFacts(Facts):
    """`address` is host:port as it stands in an image's name."""

    address: str
    image: str
    user: str
    password_env: str
    auth: str
    faults: str


class HostFacts(Facts):
    """`url` is the service's own; `files` the host's file system; `admin` takes /down, /up, /cut, /host-key, /faults."""

    name: str
    role: Role
    address: str
    ssh_port: int
    port: int
    url: str
    files: Path
    env_file: Path
    engine_socket: Path
    admin: str


class SandboxFacts(Facts):
    root: Path
    pid: int
    project: str
    engine: EngineKind
    admin: str
    on_call: str
    forge: ForgeFacts
    registry: RegistryFacts
    hosts: list[HostFacts]
    ssh_user: str
    ssh_key: Path
    known_hosts: Path
    projects: Path
    worker_env: Path

    @classmethod
    def read(cls, root: Path) -> Self:
        """The facts of the sandbox running in `root`; FileNotFoundError when none is up."""
        return cls.model_validate_json((root / "sandbox.json").read_bytes())

    def host(self, name: str) -> HostFacts:
        """KeyError for a host that the sandbox does not have."""
        return {host.name: host for host in self.hosts}[name]

    def having(self, role: Role) -> list[HostFacts]:
        return [host for host in self.hosts if host.role == role]
