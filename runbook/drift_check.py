"""Messages of a drift check: what each host is compared with, what was told before, and what came out."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from runbook.host_drift import Drift, drifts
from runbook.host_state import EnvFile, HostRecord, HostState
from runbook.identifier import HostAddress, Person, ProjectName, tag_of
from runbook.message import Finding, Message, Order
from runbook.project import ForgeTable, Project, ProjectTable

ACTION = "host-drift"
"""The ledger's rows about it, with these outcomes; `drift` is what the step of that name finds before a promotion."""
FOUND, UNTOLD, GONE = "found", "untold", "gone"


class DriftOrder(Message):
    """A drift check as somebody orders it."""

    project: ProjectName
    requested_by: Person


class DriftCheckToPlan(Order):
    """The project is the reference's."""


class StandingDrift(Message):
    """A drift that people were told of and that was there since."""

    key: str
    host: HostAddress
    what: str
    since: str


class DriftCheckPlan(Finding):
    """`under_way` says what may be changing production right now; `told` how often the ledger's drift has changed."""

    project: Project
    version: str
    digest: str
    recorded: str
    records: list[HostRecord]
    under_way: str = ""
    standing: list[StandingDrift] = []
    told: int = 0
    search_attributes: bool = False

    def compares_as(self, other: "DriftCheckPlan") -> bool:
        """Whether a look compared by the one is compared by the other as well."""
        ours, theirs = ((p.project.production, p.records, p.under_way) for p in (self, other))
        return ours == theirs

    def record(self, host: str) -> HostRecord:
        known = {record.host: record for record in self.records}
        return known.get(host) or HostRecord(host=host, version=self.version, digest=self.digest, at=self.recorded)


class DriftToComment(Order):
    """`standing` is all drift that is there now; none says that it is gone."""

    project: ProjectTable
    forge: ForgeTable
    recorded: str
    standing: list[StandingDrift]


class CommentedDrift(Finding):
    """`url` is empty where the issue takes no comment."""

    url: str = ""


class DriftVerdict(StrEnum):
    """`under_way`: something differs, and a release or rollback may be the reason."""

    AS_RECORDED = "as_recorded"
    DRIFTED = "drifted"
    UNKNOWN = "unknown"
    UNDER_WAY = "under_way"


class ComparedHost(Message):
    """A host as people read it; `said` is each difference, or why nothing is known."""

    host: HostAddress
    verdict: DriftVerdict
    runs: str = ""
    recorded: str = ""
    env_file: str = ""
    restarts: str = ""
    said: list[str] = []


class DriftReport(Message):
    """What a drift check found; `verdict` None while it goes on. `new` was told by this check, `gone` is there no more."""

    project: str
    workflow_id: str
    run_id: str
    requested_by: str
    started: datetime
    version: str = ""
    digest: str = ""
    recorded: str = ""
    verdict: DriftVerdict | None = None
    summary: str = ""
    under_way: str = ""
    hosts: list[ComparedHost] = []
    drifts: list[Drift] = []
    new: list[str] = []
    gone: list[str] = []
    notice: str = ""
    comment: str = ""
    notes: list[str] = []


Look = HostState | str
"""What a host runs, or why that is not known."""


def differences(plan: DriftCheckPlan, looks: Mapping[str, Look]) -> list[Drift]:
    """Of all hosts that could be looked at."""
    return [
        drift
        for host, look in looks.items()
        if isinstance(look, HostState)
        for drift in drifts(plan.record(host), look)
    ]


def compared(plan: DriftCheckPlan, looks: Mapping[str, Look]) -> list[ComparedHost]:
    """Each host with its verdict."""
    return [_host(plan, host, look) for host, look in looks.items()]


def verdict_of(hosts: list[ComparedHost]) -> DriftVerdict:
    """The gravest: a drift is one whatever is unknown beside it."""
    found = {host.verdict for host in hosts}
    ordered = (DriftVerdict.DRIFTED, DriftVerdict.UNDER_WAY, DriftVerdict.UNKNOWN)
    return next((verdict for verdict in ordered if verdict in found), DriftVerdict.AS_RECORDED)


def summary_of(plan: DriftCheckPlan, verdict: DriftVerdict, hosts: list[ComparedHost]) -> str:
    concerned = ", ".join(host.host for host in hosts if host.verdict is verdict)
    left = f"what {tag_of(plan.version)} left"
    match verdict:
        case DriftVerdict.AS_RECORDED:
            return f"{concerned}: as {left}"
        case DriftVerdict.DRIFTED:
            return f"{concerned}: no longer {left}"
        case DriftVerdict.UNDER_WAY:
            return f"{concerned}: not {left}, and no wonder: {plan.under_way}"
        case DriftVerdict.UNKNOWN:
            return f"{concerned}: not known"


def _host(plan: DriftCheckPlan, host: str, look: Look) -> ComparedHost:
    record = plan.record(host)
    recorded = _image(record.version, record.digest)
    if isinstance(look, str):
        return ComparedHost(host=host, verdict=DriftVerdict.UNKNOWN, recorded=recorded, said=[look])
    found = drifts(record, look)
    differs = DriftVerdict.UNDER_WAY if plan.under_way else DriftVerdict.DRIFTED
    return ComparedHost(
        host=host,
        verdict=differs if found else DriftVerdict.AS_RECORDED,
        runs=_image(look.version, look.digest) if look.container_id else "nothing",
        recorded=recorded,
        env_file=_ENV_FILE[look.env_file] if look.container_id else "",
        restarts=str(look.restarts) if look.container_id else "",
        said=[drift.what for drift in found],
    )


def _image(version: str, digest: str) -> str:
    """`v1.4.0 sha256:3f786850e387`, short enough for a table."""
    parts = [tag_of(version) if version else "", digest[:19]]
    return " ".join(part for part in parts if part) or "nothing"


_ENV_FILE = {
    EnvFile.SAME: "same",
    EnvFile.DIFFERS: "changed",
    EnvFile.UNREADABLE: "unusable",
    EnvFile.UNKNOWN: "unknown",
}
