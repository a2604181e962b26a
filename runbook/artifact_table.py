"""The artifact's table of a project's file: which image, which tags its pipeline gives it, where digests are recorded."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from runbook.identifier import (
    Address,
    Command,
    GitRef,
    HostAddress,
    HostPath,
    ImageName,
    Registry,
    RepoPath,
    SecretReference,
)
from runbook.span import Span
from runbook.table import Table

_COMMIT = re.compile(r"\{commit(?::\.([7-9]|[1-3][0-9]|40))?\}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def _filled_in(pattern: str, commit: str) -> str:
    """`{commit}` is the whole commit id, `{commit:.7}` its first seven digits."""
    return _COMMIT.sub(lambda found: commit[: int(found[1] or len(commit))], pattern)


def _commit_tag(pattern: str) -> str:
    if not pattern:
        return pattern
    filled = _filled_in(pattern, "0" * 40)
    if filled == pattern:
        raise ValueError(
            f"{pattern[:60]!r} is one tag for all commits: write {{commit}} where the pipeline puts the commit's id, "
            'or {commit:.7} for its first 7 digits (7 to 40); "" for a pipeline that pushes no such tag'
        )
    if not _TAG.fullmatch(filled):
        raise ValueError(
            f"{pattern[:60]!r} makes no tag: beside {{commit}} it may have letters, digits and . _ -, "
            "the first neither . nor -, at most 128 in all"
        )
    return pattern


class CredentialsTable(Table):
    user: str
    password: SecretReference


class ManifestTable(Table):
    """Where the pipeline records digests: exactly one of `path` in the repository, `file`, `url` or `host` with `file`."""

    path: RepoPath | None = Field(default=None, description="A path in the repository, read at `ref`")
    ref: GitRef | None = Field(default=None, description="Branch for `path`; the release's tag when left out")
    file: HostPath | None = Field(default=None, description="A file on the worker, or on `host` when that is given")
    url: Address | None = None
    host: HostAddress | None = None
    format: Annotated[str, Field(pattern="^(text|json|yaml)$")] = "text"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.path, self.file, self.url)) != 1:
            raise ValueError("give exactly one of path, file and url (host goes with file, ref with path)")
        if self.host is not None and self.file is None:
            raise ValueError("host needs file: the path on that host")
        return self


class ArtifactTable(Table):
    registry: Registry
    image: ImageName
    insecure: bool = Field(default=False, description="Plain http, for a registry on the worker's own network only")
    commit_tag: Annotated[str, AfterValidator(_commit_tag)] = Field(
        default="{commit}",
        description="The tag that the pipeline gives the image of a commit, which must have the version's digest: `{commit}` is"
        " the whole commit id, `{commit:.7}` its first 7 digits (7 to 40). Empty: it pushes none, and none is looked at",
    )
    manifest: ManifestTable
    credentials: CredentialsTable | None = None
    scan: Command
    scan_within: Span = timedelta(minutes=10)

    def tag_of_commit(self, commit: str) -> str:
        """Empty where the pipeline pushes none."""
        return _filled_in(self.commit_tag, commit)
