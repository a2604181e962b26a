"""Whether the worker has what a project's file refers to, and whether the file asks for what can never be."""

from collections.abc import Iterable
from typing import Protocol

from activities.clients import known_hosts
from activities.doubts import Doubts
from activities.errors import Refused, StepError
from activities.heartbeat import in_thread
from activities.secret import read_secret
from runbook.project import EnvironmentTable, Project
from runbook.span import spoken


class KnownHosts(Protocol):
    def known(self, environment: EnvironmentTable, host: str) -> bool: ...


class Readiness:
    def __init__(self, hosts: KnownHosts) -> None:
        self._hosts = hosts

    async def secrets(self, doubts: Doubts, references: Iterable[str]) -> None:
        for reference in dict.fromkeys(references):
            await doubts.of(in_thread(read_secret, reference))

    async def known(self, doubts: Doubts, table: Project, *tables: str) -> None:
        """Whether every host of these tables is in known_hosts, and the host that keeps the manifest."""
        places: list[tuple[str, EnvironmentTable, str]] = []
        for name in tables:
            environment: EnvironmentTable = getattr(table, name)
            places += [(f"{name}.hosts[{at}]", environment, host) for at, host in enumerate(environment.hosts)]
        if table.artifact.manifest.host and "staging" in tables:
            places.append(("artifact.manifest.host", table.staging, table.artifact.manifest.host))
        for path, environment, host in places:
            await doubts.of(in_thread(self._has_key, path, environment, host))

    def _has_key(self, path: str, environment: EnvironmentTable, host: str) -> None:
        try:
            known = self._hosts.known(environment, host)
        except StepError as error:
            raise Refused(f"{path}: {error}") from None
        if not known:
            raise Refused(f"{path}: no key of {host} is known: {known_hosts.hint(environment.ssh, host)}")


def hopeless(table: Project, requester: str) -> list[str]:
    """What is well written and yet could not end well, whoever does what."""
    return [*_gate_faults(table, requester), *_soak_faults(table)]


def _gate_faults(table: Project, requester: str) -> list[str]:
    gate = table.gate
    may = set(gate.approvers) - (set() if gate.requester_may_approve else {requester})
    if len(may) >= gate.approvals:
        return []
    who = ", ".join(sorted(may)) or "nobody"
    fault = (
        f"gate: {gate.approvals} approvals are needed, but with {requester} as the requester only {who} may approve: "
        "let somebody else order the release, or name more approvers"
    )
    return [fault]


def _soak_faults(table: Project) -> list[str]:
    soak = table.production.soak
    if not soak.lasts or (soak.failures - 1) * soak.every <= soak.within:
        return []
    fault = (
        f"production.soak: {soak.failures} failures never fall within {spoken(soak.within)} "
        f"when a look comes every {spoken(soak.every)}: nothing would end it"
    )
    return [fault]
