"""Messages about the image: credentials, verification by digest, scan."""

from runbook.artifact_table import ArtifactTable
from runbook.identifier import Commit, HostAddress, Version
from runbook.image import Image
from runbook.message import Finding, Order
from runbook.project import EnvironmentTable, ForgeTable, ProjectTable


class CredentialsToProve(Order):
    artifact: ArtifactTable


class ProvenCredentials(Finding):
    repository: str


class ArtifactToVerify(Order):
    """The manifest's digest for exactly this version, the registry's, and a RepoDigest of the image pulled on `host`.

    The registry's digest of `commit_tag` too, which no other commit has; empty is not looked at.
    """

    project: ProjectTable
    forge: ForgeTable
    artifact: ArtifactTable
    environment: EnvironmentTable
    host: HostAddress
    version: Version
    commit: Commit
    commit_tag: str = ""


class VerifiedArtifact(Finding):
    image: Image
    created: str = ""


class ImageToScan(Order):
    project: ProjectTable
    forge: ForgeTable
    artifact: ArtifactTable
    image: Image
    commit: Commit
