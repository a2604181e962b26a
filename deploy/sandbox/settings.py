"""What a sandbox is asked to be, and where it puts things."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deploy.sandbox.forge import Flavour

EngineChoice = Literal["auto", "process", "docker"]
EngineKind = Literal["process", "docker"]
Role = Literal["staging", "production"]

PROJECT, REPOSITORY, SERVICE = "shop", "acme/shop", "shop"
SSH_USER, ENGINE_SOCKET = "deploy", "/var/run/docker.sock"
LONGEST_SOCKET_PATH, LONGEST_STATE_PATH = 100, 60


class SandboxSettings(BaseModel):
    """`baseline` is the version that runs everywhere at first; None leaves the hosts empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    staging: int = Field(default=2, ge=1, le=50)
    production: int = Field(default=3, ge=1, le=50)
    flavour: Flavour = "gitea-1.26"
    engine: EngineChoice = "process"
    registry_auth: Literal["none", "basic", "bearer"] = "bearer"
    pipeline_seconds: float = Field(default=0.5, ge=0)
    baseline: str | None = "1.0.0"

    def roles(self) -> list[tuple[str, Role]]:
        staging: list[tuple[str, Role]] = [(f"staging-{i + 1}", "staging") for i in range(self.staging)]
        return [*staging, *((f"production-{i + 1}", "production") for i in range(self.production))]


@dataclass(frozen=True)
class Layout:
    """Every path below the sandbox's root."""

    root: Path

    @property
    def place(self) -> Path:
        return self.root / "place.json"

    @property
    def facts(self) -> Path:
        return self.root / "sandbox.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def client_key(self) -> Path:
        return self.keys / SSH_USER

    @property
    def known_hosts(self) -> Path:
        return self.keys / "known_hosts"

    @property
    def projects(self) -> Path:
        return self.root / "projects"

    @property
    def kinds(self) -> Path:
        return self.root / "kinds.json"

    @property
    def baseline(self) -> Path:
        return self.root / "baseline.json"

    @property
    def worker_env(self) -> Path:
        return self.root / "worker.env"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def host_key(self, name: str) -> Path:
        return self.keys / f"host-{name}"

    def env_file(self, name: str, role: Role) -> Path:
        return self.host(name) / "files" / env_path(role).lstrip("/")

    def engine_socket(self, name: str) -> Path:
        """Beside the host's files, or in the temporary folder where that path is too long for a socket."""
        near = self.host(name) / "docker.sock"
        return near if len(str(near)) <= LONGEST_SOCKET_PATH else self._short / f"{name}.sock"

    @property
    def worker_state(self) -> Path:
        """Where the worker keeps its ledger and sockets."""
        near = self.root / "worker"
        return near if len(str(near)) <= LONGEST_STATE_PATH else self._short / "worker"

    @property
    def _short(self) -> Path:
        return Path(tempfile.gettempdir()) / f"sandbox-{self.owner}"

    @property
    def owner(self) -> str:
        """Tells this root from every other, in a few letters."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:12]


def env_path(role: Role) -> str:
    """The container's env file as a host knows it."""
    return f"/etc/opt/{PROJECT}/{role}.env"
