"""Messages about the service on its hosts: pull, way back, swap, health, verification, soak, putting back."""

from datetime import timedelta

from runbook.artifact_table import ArtifactTable, CredentialsTable
from runbook.identifier import Digest, HostAddress, Version
from runbook.image import Image
from runbook.message import Finding, Order
from runbook.project import EnvironmentTable
from runbook.soak_table import SoakTable


class HostOrder(Order):
    """What every work on one host needs."""

    environment: EnvironmentTable
    host: HostAddress


class HostToProbe(HostOrder):
    """Does the service that runs there now answer, whatever its version? A host on which nothing runs yet is fine."""


class ProbedHost(Finding):
    version: str | None


class ImageToPull(HostOrder):
    """The engine pulls `image` by digest and proves it has it."""

    image: Image
    credentials: CredentialsTable | None = None


class PulledImage(Finding):
    image_id: str
    """What the host's engine calls it: a config digest or a manifest digest, so compare it only on this host."""


class WayBackToRecord(HostOrder):
    artifact: ArtifactTable


class WayBack(Finding):
    """What a host ran before the first change: all None where nothing ran."""

    host: HostAddress
    container_id: str | None = None
    container_name: str | None = None
    image_id: str | None = None
    digest: Digest | None = None
    version: Version | None = None


class SwapToMake(HostOrder):
    """Replace what runs on the host (`way_back`) by `image`, with the runbook's labels."""

    image: Image
    way_back: WayBack | None = None
    credentials: CredentialsTable | None = None
    max_downtime: timedelta | None = None


class SwappedContainer(Finding):
    """`requests`, `failures` and `longest_gap` (seconds) are what a prober saw during the swap; `downtime` says it."""

    host: HostAddress
    container_id: str
    previous_id: str | None = None
    requests: int = 0
    failures: int = 0
    longest_gap: float = 0.0
    downtime: str = ""


class RollbackToRehearse(HostOrder):
    """Where `image` was just deployed: roll back to the container `previous_id`, then deploy `image` again."""

    image: Image
    artifact: ArtifactTable
    previous_id: str | None = None
    credentials: CredentialsTable | None = None


class RehearsedRollback(Finding):
    """`seconds` until the version before answered well again; None where nothing ran before."""

    host: HostAddress
    seconds: float | None = None


class StagingToPutBack(HostOrder):
    """Return a staging host to what it ran before this run, whatever this run did there."""

    artifact: ArtifactTable


class HealthToVerify(HostOrder):
    """Good answers in a row, the right version, a container that does not restart; until the environment's deadline.

    Without an image any version will do.
    """

    image: Image | None
    container_id: str | None = None

    @property
    def version(self) -> str | None:
        return self.image.version if self.image else None

    @property
    def pinned(self) -> Image:
        """Raises ValueError where any version will do."""
        if self.image is None:
            raise ValueError(f"nothing says which image {self.host} is to run")
        return self.image


class HealthyHost(Finding):
    host: HostAddress
    answers: int
    seconds: float


class SoakToWatch(Order):
    environment: EnvironmentTable
    soak: SoakTable
    image: Image
    hosts: list[HostAddress]


class WatchedSoak(Finding):
    looks: int
    failures: int


class HostToPutBack(HostOrder):
    """Return the host to `way_back`; `failed_release` names the run whose containers are in the way."""

    way_back: WayBack
    artifact: ArtifactTable
    failed_release: str


class RestoredHost(Finding):
    host: HostAddress
    container_id: str | None
    digest: Digest | None
    version: Version | None
    kept: bool


class LogsToFetch(HostOrder):
    container_id: str | None = None
    lines: int = 50


class FetchedLogs(Finding):
    """`evidence` is the tail of the container's log."""


class RunningHost(Finding):
    """Final verification: the engine's own list shows exactly the pinned image up."""

    host: HostAddress
    container_id: str
