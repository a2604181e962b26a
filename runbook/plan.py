"""The plan of a release: the project's file as it was read, snapshotted in history so that a later edit splits nothing."""

import hashlib
import json

from runbook.identifier import Commit, Digest, Version, tag_of
from runbook.image import Image
from runbook.message import Finding, Order, ReleaseOrder, RollbackOrder
from runbook.project import Project


class ReleaseToPlan(Order):
    """`commit` None means the head of the release branch."""

    order: ReleaseOrder


class GoodVersion(Finding):
    """A version whose release ended well, as the ledger remembers it.

    Or the one that ran on every host before the first release: `released_at` is empty then, and nobody approved it here.
    """

    version: Version
    digest: Digest
    released_at: str
    approved_by: list[str] = []

    @property
    def past(self) -> str:
        return f"released {self.released_at}" if self.released_at else "which ran before the first release"


class Plan(Finding):
    """Everything a release is going to do, fixed before it does anything.

    `commit_tag` is the tag that the pipeline gives the image of `commit`. Empty: it gives none, or the plan was made before
    there was such a tag, whose default in the project's table says nothing about that pipeline.
    """

    version: Version
    commit: Commit
    project: Project
    file_fingerprint: str
    last_good: GoodVersion | None = None
    search_attributes: bool = False
    ledger: str = ""
    commit_tag: str = ""

    @property
    def tag(self) -> str:
        return tag_of(self.version)

    @property
    def fingerprint(self) -> str:
        """sha256 over what will be done: version, commit and the project's file.

        Without defaults, so that a key added to the file's schema changes no plan that people are deciding about.
        """
        project = self.project.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(
            {"version": self.version, "commit": self.commit, "project": project},
            sort_keys=True,
            separators=(",", ":"),
        )
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class RollbackToPlan(Order):
    """`order.to_version` None means the last good version before the one that runs."""

    order: RollbackOrder


class RollbackPlan(Finding):
    """A rollback by hand: which image every production host returns to."""

    project: Project
    image: Image
    file_fingerprint: str
    search_attributes: bool = False
