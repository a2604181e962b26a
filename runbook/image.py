"""The image of a release, always addressed by version and digest together."""

from pydantic import BaseModel, ConfigDict

from runbook.identifier import Digest, ImageName, Registry, Version, tag_of


class Image(BaseModel):
    """One exact image: which repository, which version's tag, which bytes."""

    model_config = ConfigDict(frozen=True)

    registry: Registry
    name: ImageName
    version: Version
    digest: Digest

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def tag(self) -> str:
        return tag_of(self.version)

    @property
    def reference(self) -> str:
        """`registry/name:v<version>@sha256:…`, the only form in which an image is run."""
        return f"{self.repository}:{self.tag}@{self.digest}"

    @property
    def pinned(self) -> str:
        """`registry/name@sha256:…`, as an engine lists it among an image's RepoDigests."""
        return f"{self.repository}@{self.digest}"
