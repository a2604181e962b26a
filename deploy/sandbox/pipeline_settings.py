"""How the sandbox's build pipeline behaves; everything can be changed while it runs."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deploy.sandbox.images import Format, ImageKind, Runtime


class PipelineSettings(BaseModel):
    """Times are in seconds.

    `registry` is "host:port"; an image goes to the repository named like the forge's. `appears_after` is the time
    between a push and its run, `queued_for` until a runner takes it, `takes` until the build is done. The first
    `fail_first` builds of a tag fail. `mode`: never_starts makes no run, stays_queued leaves runs queued until
    the mode is changed. `kinds` maps a version without "v" to the image it gets. With `rebuilds_differ` every
    build of a version has another digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    registry: str = ""
    registry_user: str = ""
    registry_password: str = Field(default="", repr=False)
    appears_after: float = Field(default=0.2, ge=0)
    queued_for: float = Field(default=0.0, ge=0)
    takes: float = Field(default=0.5, ge=0)
    fail_first: int = Field(default=0, ge=0)
    mode: Literal["normal", "never_starts", "stays_queued"] = "normal"
    runtime: Runtime = "process"
    shape: Format = "docker"
    kinds: dict[str, ImageKind] = Field(default_factory=dict)
    rebuilds_differ: bool = False
