"""The containers of one host: what they were created as and what became of them, one file each."""

import re
import secrets
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from deploy.sandbox.engine_errors import EngineError, no_such_container
from deploy.sandbox.engine_store import NEVER, now, write_whole

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")

Status = Literal["created", "running", "restarting", "exited"]


class RestartPolicy(BaseModel):
    name: str = "no"
    maximum: int = 0

    @classmethod
    def parse(cls, given: dict[str, Any] | None) -> "RestartPolicy":
        name = (given or {}).get("Name") or "no"
        if name not in {"no", "always", "unless-stopped", "on-failure"}:
            raise EngineError(400, f"invalid restart policy '{name}'")
        return cls(name=name, maximum=(given or {}).get("MaximumRetryCount") or 0)

    def wants(self, exit_code: int, restarts: int) -> bool:
        """Whether a process that ended by itself is started again."""
        if self.name == "on-failure":
            return exit_code != 0 and (self.maximum == 0 or restarts < self.maximum)
        return self.name in {"always", "unless-stopped"}


class Container(BaseModel):
    """`config` and `host_config` are in Docker's own words; everything else is this engine's memory.

    `address` is the one that it has in a network of its own, without a published port.
    """

    id: str
    name: str
    image: str
    config: dict[str, Any]
    host_config: dict[str, Any]
    policy: RestartPolicy = Field(default_factory=RestartPolicy)
    created: str = NEVER
    status: Status = "created"
    exit_code: int = 0
    error: str = ""
    pid: int = 0
    started: str = NEVER
    finished: str = NEVER
    restarts: int = 0
    stopped_by_hand: bool = False
    ports: dict[str, list[dict[str, str]]] = Field(default_factory=dict)
    address: str = ""

    @property
    def running(self) -> bool:
        """Docker's "Running": also while it waits to be restarted."""
        return self.status in {"running", "restarting"}


class Containers:
    """Found by id, the beginning of an id, or name; `folder/<id>/` holds a container's files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._all: dict[str, Container] = {}
        for path in sorted(folder.glob("*/container.json")):
            container = Container.model_validate_json(path.read_bytes())
            self._all[container.id] = container

    def all(self) -> list[Container]:
        """Newest first, as Docker lists them."""
        return sorted(self._all.values(), key=lambda container: container.created, reverse=True)

    def folder(self, container: Container) -> Path:
        return self._folder / container.id

    def find(self, text: str) -> Container:
        by_name = self._named(text.removeprefix("/"))
        if text in self._all:
            return self._all[text]
        if by_name:
            return by_name
        matches = [c for c in self._all.values() if c.id.startswith(text)] if text else []
        if len(matches) > 1:
            raise EngineError(400, f"Multiple IDs found with provided prefix: {text}")
        if not matches:
            raise no_such_container(text)
        return matches[0]

    def create(
        self, name: str | None, image: str, config: dict[str, Any], host_config: dict[str, Any], address: str = ""
    ) -> Container:
        """An EngineError 409 where the name is taken."""
        identity = secrets.token_hex(32)
        name = (name or f"sandbox_{identity[:8]}").removeprefix("/")
        self._must_be_free(name)
        policy = RestartPolicy.parse(host_config.get("RestartPolicy"))
        container = Container(
            id=identity,
            name=name,
            image=image,
            config=config,
            host_config=host_config,
            policy=policy,
            created=now(),
            address=address,
        )
        self.folder(container).mkdir()
        self._all[identity] = container
        self.save(container)
        return container

    def rename(self, container: Container, name: str) -> None:
        name = name.removeprefix("/")
        if not name:
            raise EngineError(400, "Neither old nor new names may be empty")
        if name == container.name:
            raise EngineError(400, "Renaming a container with the same name as its current name")
        self._must_be_free(name, "Error when allocating new name: ")
        container.name = name
        self.save(container)

    def remove(self, container: Container) -> None:
        """Its record goes first: a half-removed folder is then no container."""
        self._all.pop(container.id, None)
        folder = self.folder(container)
        (folder / "container.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def save(self, container: Container) -> None:
        """Does nothing for one that was removed meanwhile."""
        if container.id in self._all:
            write_whole(self.folder(container) / "container.json", container.model_dump_json().encode())

    def using(self, image: str) -> str | None:
        """The id of a container that stands on this image."""
        return next((c.id for c in self._all.values() if c.image == image), None)

    def _must_be_free(self, name: str, when: str = "") -> None:
        if not _NAME.match(name):
            raise EngineError(400, f"{when}Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        if other := self._named(name):
            raise EngineError(
                409,
                f'{when}Conflict. The container name "/{name}" is already in use by container "{other.id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )

    def _named(self, name: str) -> Container | None:
        return next((c for c in self._all.values() if c.name == name), None)
