"""What a Docker engine says of its containers and images, and what it is asked to create."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

# The engine writes null where it means nothing.
_Texts = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]
_Lines = Annotated[list[str], BeforeValidator(lambda value: value or [])]
_Text = Annotated[str, BeforeValidator(lambda value: value or "")]


def _own_name(names: list[str] | None) -> str:
    """`/shop`, not `/other/shop`, which is a link's name."""
    own = [name for name in names or [] if name.count("/") == 1]
    return own[0].removeprefix("/") if own else ""


class Container(BaseModel):
    """A container as a list shows it; `state` is created, running, restarting, exited, paused, removing or dead."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(alias="Id")
    name: Annotated[str, BeforeValidator(_own_name)] = Field(alias="Names")
    image_id: str = Field(alias="ImageID")
    image: str = Field(alias="Image")
    state: str = Field(alias="State")
    status: _Text = Field(alias="Status", default="")
    labels: _Texts = Field(alias="Labels", default={})

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def alive(self) -> bool:
        """It has a process or is about to get one again: it holds its port, or will."""
        return self.state in {"running", "restarting", "paused"}

    @property
    def short_id(self) -> str:
        return self.id[:12]


class ContainerDetails(BaseModel):
    """A container inspected; `environment` may hold secrets and is not shown."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(alias="Id")
    image_id: str = Field(alias="Image")
    image: str = Field(validation_alias=AliasPath("Config", "Image"))
    environment: _Lines = Field(validation_alias=AliasPath("Config", "Env"), default=[], repr=False)
    port_bindings: Any = Field(validation_alias=AliasPath("HostConfig", "PortBindings"), default=None)
    restart: _Text = Field(validation_alias=AliasPath("HostConfig", "RestartPolicy", "Name"), default="")
    state: str = Field(validation_alias=AliasPath("State", "Status"))
    running: bool = Field(validation_alias=AliasPath("State", "Running"))
    restarting: bool = Field(validation_alias=AliasPath("State", "Restarting"), default=False)
    exit_code: int = Field(validation_alias=AliasPath("State", "ExitCode"), default=0)
    error: _Text = Field(validation_alias=AliasPath("State", "Error"), default="")
    started_at: _Text = Field(validation_alias=AliasPath("State", "StartedAt"), default="")
    restarts: int = Field(alias="RestartCount", default=0)

    @property
    def steady(self) -> bool:
        """Up, and never restarted since it was started."""
        return self.running and not self.restarting and self.restarts == 0

    @property
    def told(self) -> str:
        """How it is, as evidence."""
        return f"{self.state}, exit code {self.exit_code}, restarts {self.restarts}"


class LocalImage(BaseModel):
    """An image the engine has; `digests` accumulate, so only membership means something."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(alias="Id")
    digests: _Lines = Field(alias="RepoDigests", default=[])
    created: _Text = Field(alias="Created", default="")
    environment: _Lines = Field(validation_alias=AliasPath("Config", "Env"), default=[])
    labels: _Texts = Field(validation_alias=AliasPath("Config", "Labels"), default={})


class ListedImage(BaseModel):
    """An image as a list shows it."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(alias="Id")
    digests: _Lines = Field(alias="RepoDigests", default=[])


@dataclass(frozen=True, kw_only=True)
class ContainerToCreate:
    """`environment` are `KEY=VALUE` lines, never shown. Without `port` nothing is published.

    `network` is joined in the default one's place, with `address` for as long as the container exists.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    environment: Sequence[str] = field(default=(), repr=False)
    port: int | None = None
    container_port: int = 8080
    publish_on: str | None = None
    network: str | None = None
    address: str | None = None
    restart: str = "no"
    stop_timeout: int = 10
    command: Sequence[str] | None = None

    @property
    def port_bindings(self) -> dict[str, list[dict[str, str]]]:
        """As the engine takes and tells them."""
        if self.port is None:
            return {}
        return {f"{self.container_port}/tcp": [{"HostIp": self.publish_on or "", "HostPort": str(self.port)}]}
