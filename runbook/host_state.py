"""What a production host runs: as a look finds it, and as it was recorded when its last change ended well."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from runbook.artifact_table import ArtifactTable
from runbook.identifier import Digest, HostAddress
from runbook.message import Finding, Message
from runbook.service import HostOrder


class HostToInspect(HostOrder):
    artifact: ArtifactTable


class HostToRecord(HostToInspect):
    """`digest` is what the host was just given, None where nobody knows it: another one that runs is not recorded."""

    digest: Digest | None = None


class EnvFile(StrEnum):
    """The env file compared with the variables of the container, which never leave the worker's memory."""

    SAME = "same"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"


class HostState(Finding):
    """`container_id` is empty where there is no container of the service's name.

    `digests` are all by which the host's engine knows the image that runs, `digest` the one to say. `release` is the run
    that made the container, empty for a stranger's. `others` are the service's other containers that are alive.
    `variables` counts those in which container and env file differ: no name or value is ever told.
    """

    host: HostAddress
    container: str
    container_id: str = ""
    state: str = ""
    version: str = ""
    digest: str = ""
    digests: list[str] = []
    release: str = ""
    restarts: int = 0
    started_at: str = ""
    env_file: EnvFile = EnvFile.UNKNOWN
    env_trouble: str = ""
    variables: int = 0
    others: list[str] = []

    @property
    def lines(self) -> list[str]:
        """What `HostRecord.read` reads: the evidence of a look, and so the ledger's."""
        told = {
            "container": self.container_id,
            "digest": self.digest,
            "restarts": str(self.restarts),
            "started": self.started_at,
        }
        return [f"{name} {value or _NONE}" for name, value in told.items()]


class HostRecord(Message):
    """What a host was left with; `container_id` None: only the version is known, empty: nothing ran there."""

    host: HostAddress
    version: str = ""
    digest: str = ""
    container_id: str | None = None
    restarts: int = 0
    started_at: str = ""
    at: str = ""

    @classmethod
    def read(cls, host: str, version: str, at: str, lines: Iterable[str]) -> Self | None:
        """From a row of the ledger; None where its lines are no record."""
        told = dict(line.split(" ", 1) for line in lines if " " in line)
        if not {"container", "digest", "restarts", "started"} <= told.keys() or not told["restarts"].isdecimal():
            return None
        known = {name: "" if value == _NONE else value for name, value in told.items()}
        return cls(
            host=host,
            version=version if known["container"] else "",
            digest=known["digest"],
            container_id=known["container"],
            restarts=int(known["restarts"]),
            started_at=known["started"],
            at=at,
        )


_NONE = "none"
