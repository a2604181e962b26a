"""Messages about what changed outside since people approved: none of it changes what runs."""

from runbook.artifact_table import ArtifactTable
from runbook.image import Image
from runbook.message import Finding, Order


class DriftToFind(Order):
    """`image` is what was approved, `file_fingerprint` that of the project's file when it was planned."""

    artifact: ArtifactTable
    image: Image
    file_fingerprint: str


class FoundDrift(Finding):
    """`differences` is empty when all is as it was approved."""

    differences: list[str] = []
