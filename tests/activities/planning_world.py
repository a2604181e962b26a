"""A worker's surroundings as planning sees them."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.clients.hosts import Hosts
from activities.clients.ledger import Ledger
from activities.errors import Refused, Unreachable
from activities.planning import PlanningActivities
from activities.projects import Projects
from runbook.message import ReleaseOrder, ReleaseRef, RollbackOrder
from runbook.plan import ReleaseToPlan, RollbackToPlan
from runbook.record import Entry
from tests.activities.clients.origin import Origin, client
from tests.projects import DIGEST, project_table
from tests.toml import as_toml

SECRETS = ("FORGE_TOKEN", "SSH_KEY", "ON_CALL", "APPROVERS")


class Lane:
    running = False
    silent = False

    async def rollback_running(self, project: str) -> bool:
        if self.silent:
            raise Unreachable("Temporal does not tell")
        return self.running


@dataclass
class World:
    """A worker's surroundings: everything is real but Temporal's word."""

    folder: Path
    origin: Origin
    ledger: Ledger
    lane: Lane = field(default_factory=Lane)
    tables: dict[str, Any] = field(default_factory=project_table)
    searchable: bool = True

    def group(self) -> PlanningActivities:
        (self.folder / "projects").mkdir(exist_ok=True)
        (self.folder / "projects" / "shop.toml").write_text(str(as_toml(self.tables)))
        return PlanningActivities(
            Projects(self.folder / "projects"),
            client(self.folder / "worker"),
            Hosts(),
            self.ledger,
            self.lane,
            lambda: self.searchable,
        )

    async def plan(self, **order: Any) -> Any:
        wanted = ReleaseOrder.model_validate({"project": "shop", "version": "1.4.0", "requested_by": "carol"} | order)
        return await self.group().plan(ReleaseToPlan(ref=ref(wanted.version), order=wanted))

    async def plan_rollback(self, **order: Any) -> Any:
        wanted = RollbackOrder.model_validate({"project": "shop", "requested_by": "carol", "reason": "bad"} | order)
        return await self.group().plan_rollback(RollbackToPlan(ref=ref("0.0.0"), order=wanted))

    async def refusal(self, **order: Any) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.plan(**order)
        assert "\n" not in str(caught.value)
        return caught.value

    async def released(self, version: str, digest: str = DIGEST) -> None:
        entry = Entry(
            event=f"{version}/released",
            actor="worker",
            action="outcome",
            outcome="released",
            version=version,
            digest=digest,
            evidence=["bob"],
        )
        await self.ledger.keep(ReleaseToPlan(ref=ref(version), order=order_of(version)), [entry])

    async def ran_before(self, version: str, *evidence: list[str]) -> None:
        """What a release of this version found on its hosts, right before it swapped the first."""
        rows = [
            Entry(
                event=f"{version}/{place}", actor="worker", action=action, place=place, outcome="done", evidence=lines
            )
            for action, place, lines in [
                *(("way-back", f"production-{number}", lines) for number, lines in enumerate(evidence, start=1)),
                ("drift", "", []),
            ]
        ]
        await self.ledger.keep(ReleaseToPlan(ref=ref(version), order=order_of(version)), rows)


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(
        project="shop", version=version, workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
    )


def order_of(version: str) -> ReleaseOrder:
    return ReleaseOrder(project="shop", version=version, requested_by="carol")


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncGenerator[World]:
    for name in SECRETS:
        os.environ[name] = f"{name}-value"
    world = World(tmp_path, Origin(tmp_path / "origin"), Ledger(f"sqlite:///{tmp_path}/ledger.db"))
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    hosts = [*world.tables["staging"]["hosts"], *world.tables["production"]["hosts"]]
    (tmp_path / "known_hosts").write_text("".join(f"{host} {key}" for host in hosts))
    world.tables["project"]["repository"] = str(world.origin.path)
    for name in ("staging", "production"):
        world.tables[name]["ssh"] = {**world.tables[name]["ssh"], "known_hosts": f"{tmp_path}/known_hosts"}
    yield world
    world.ledger.close()
    for name in SECRETS:
        os.environ.pop(name, None)
