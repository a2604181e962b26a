"""How the sandbox's build pipeline behaves; everything can be changed while it runs."""

from pydantic import BaseModel, ConfigDict, Field

from deploy.sandbox.images import ImageKind, Runtime


class PipelineSettings(BaseModel):
    """Times in seconds; `registry` is host:port, `image` its repository, `kinds` goes by version without "v"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    registry: str = ""
    image: str = "acme/shop"
    registry_user: str = ""
    registry_password: str = Field(default="", repr=False)
    appears_after: float = 0.2
    queued_for: float = 0.0
    takes: float = 0.5
    fail_first: int = 0
    mode: str = Field(default="normal", pattern="^(normal|never_starts|stays_queued)$")
    runtime: Runtime = "process"
    kinds: dict[str, ImageKind] = Field(default_factory=dict)
    rebuilds_differ: bool = False
