"""Messages about the image: credentials, verification by digest, scan."""

from runbook.identifier import Commit, HostAddress, Version
from runbook.image import Image
from runbook.message import Finding, Order
from runbook.project import ArtifactTable, EnvironmentTable, ForgeTable, ProjectTable


class CredentialsToProve(Order):
    artifact: ArtifactTable


class ProvenCredentials(Finding):
    repository: str


class ArtifactToVerify(Order):
    """The manifest's digest for exactly this version, the registry's, and a RepoDigest of the image pulled on `host`."""

    project: ProjectTable
    forge: ForgeTable
    artifact: ArtifactTable
    environment: EnvironmentTable
    host: HostAddress
    version: Version
    commit: Commit


class VerifiedArtifact(Finding):
    image: Image
    created: str = ""


class ImageToScan(Order):
    project: ProjectTable
    forge: ForgeTable
    artifact: ArtifactTable
    image: Image
    commit: Commit
