"""Whether the worker has what a project's file refers to, and whether the file asks for what can never be."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from activities.clients import known_hosts
from activities.clients.signers import AllowedSigners
from activities.doubts import Doubts
from activities.errors import Refused, StepError
from activities.heartbeat import in_thread
from activities.secret import read_secret
from activities.window import zone_of
from runbook.approval import NAMESPACE
from runbook.project import EnvironmentTable, Project


class KnownHosts(Protocol):
    def known(self, environment: EnvironmentTable, host: str) -> bool: ...


class Readiness:
    def __init__(self, hosts: KnownHosts) -> None:
        self._hosts = hosts

    async def secrets(self, doubts: Doubts, references: Iterable[str]) -> None:
        for reference in dict.fromkeys(references):
            await doubts.of(in_thread(read_secret, reference))

    async def hopeful(self, doubts: Doubts, table: Project, requester: str) -> None:
        """Doubt what is well written and yet could not end well, whoever does what."""
        gate = table.gate
        may = set(gate.approvers) - (set[str]() if gate.requester_may_approve else {requester})
        may = await _may_sign(doubts, table, may)
        if gate.has_hours:
            await doubts.of(in_thread(zone_of, gate.zone))
        doubts.add(_gate_faults(table, requester, may))

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


async def _may_sign(doubts: Doubts, table: Project, people: set[str]) -> set[str]:
    """Those of them whose approval could count: all where approvals are not signed."""
    path = table.gate.allowed_signers
    allowed = await doubts.of(in_thread(AllowedSigners.read, Path(path))) if path else None
    return {person for person in people if allowed is None or allowed.knows(person, NAMESPACE)}


def _gate_faults(table: Project, requester: str, may: set[str]) -> list[str]:
    gate = table.gate
    if len(may) >= gate.approvals:
        return []
    signed = f" with a key in {gate.allowed_signers}" if gate.allowed_signers else ""
    fault = (
        f"gate: {gate.approvals} approvals are needed, but with {requester} as the requester "
        f"{'only ' + ', '.join(sorted(may)) if may else 'nobody'} may approve{signed}: let somebody else order the release, or name more approvers"
    )
    return [fault]
