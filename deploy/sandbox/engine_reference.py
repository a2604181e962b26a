"""An image reference taken apart the way Docker does it."""

import functools
import re
from dataclasses import dataclass

from deploy.sandbox.engine_errors import EngineError

_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
_NAME = re.compile(r"^[a-z0-9]+([._:/-]+[a-z0-9]+)*$")


def is_digest(text: str) -> bool:
    return _DIGEST.match(text) is not None


@dataclass(frozen=True)
class ImageReference:
    """`repository` includes the registry's host; a digest wins over a tag, as in Docker."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def parse(cls, text: str, tag: str = "") -> "ImageReference":
        """`tag` is the separate query parameter of a pull: a tag or a digest."""
        name, _, digest = text.partition("@")
        if is_digest(tag):
            digest, tag = tag, ""
        repository, inner_tag = _split_tag(name)
        if not _NAME.match(repository) or (digest and not is_digest(digest)):
            raise EngineError(400, f"invalid reference format: {text}")
        if digest:
            return cls(repository, None, digest)
        return cls(repository, tag or inner_tag or "latest")

    @property
    def registry(self) -> str:
        host, slash, _ = self.repository.partition("/")
        return host if slash and (":" in host or "." in host or host == "localhost") else "docker.io"

    @property
    def path(self) -> str:
        """The repository's name inside its registry."""
        return self.repository.removeprefix(self.registry + "/")

    @property
    def wanted(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def _split_tag(name: str) -> tuple[str, str]:
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, "")
