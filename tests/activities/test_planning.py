import os
from collections.abc import AsyncGenerator
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
from runbook.trouble import Cause
from tests.activities.clients.origin import Origin, client
from tests.projects import DIGEST, OLD_DIGEST, project_table
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


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(
        project="shop", version=version, workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
    )


def order_of(version: str) -> ReleaseOrder:
    return ReleaseOrder(project="shop", version=version, requested_by="carol")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
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


async def test_a_release_of_the_branchs_head_is_planned(world: World) -> None:
    await world.released("1.2.0", OLD_DIGEST)
    await world.released("1.3.0")
    plan = await world.plan()
    assert (plan.version, plan.commit, plan.tag) == ("1.4.0", world.origin.first, "v1.4.0")
    assert plan.project.production.hosts == ["production-1", "production-2", "production-3"]
    assert (plan.last_good.version, plan.last_good.digest, plan.last_good.approved_by) == ("1.3.0", DIGEST, ["bob"])
    assert plan.ledger == await world.ledger.head()
    assert plan.search_attributes is True
    assert plan.summary == f"v1.4.0 from {plan.commit[:12]}"
    assert f"plan {plan.fingerprint}" in plan.evidence
    assert f"project's file {plan.file_fingerprint}" in plan.evidence
    assert plan.evidence[3].startswith(f"last good version: v1.3.0 {DIGEST}, released 20")


async def test_a_first_release_has_no_last_good_version(world: World) -> None:
    world.searchable = False
    plan = await world.plan()
    assert plan.last_good is None
    assert plan.search_attributes is False


async def test_an_ordered_commit_is_planned_although_the_branch_went_on(world: World) -> None:
    ahead = world.origin.commit("More")
    assert (await world.plan(commit=world.origin.first)).commit == world.origin.first
    assert (await world.plan()).commit == ahead


async def test_a_tag_on_the_same_commit_is_fine(world: World) -> None:
    world.origin.tag("v1.4.0", world.origin.first)
    assert (await world.plan()).commit == world.origin.first


async def test_a_tag_on_another_commit_is_refused(world: World) -> None:
    world.origin.tag("v1.4.0", world.origin.first)
    ahead = world.origin.commit("More")
    refusal = await world.refusal()
    assert refusal.cause is Cause.TAG_MOVED
    assert f"tag v1.4.0 stands on commit {world.origin.first}, not on {ahead}, the head of main" in str(refusal)
    assert (await world.refusal(commit=ahead)).cause is Cause.TAG_MOVED


async def test_a_version_that_was_released_is_not_released_again(world: World) -> None:
    await world.released("1.4.0")
    assert "1.4.0 was released on 20" in str(await world.refusal())
    assert "bump the version" in str(await world.refusal())


async def test_an_unknown_project_names_the_known_ones(world: World) -> None:
    refusal = await world.refusal(project="shpo")
    assert str(refusal).startswith("shpo 1.4.0 can't be released: there is no project 'shpo'")
    assert str(refusal).endswith("projects of this worker: shop")


async def test_every_fault_is_named_at_once(world: World) -> None:
    del os.environ["FORGE_TOKEN"], os.environ["ON_CALL"]
    os.environ["APPROVERS"] = "  "
    world.tables["production"]["hosts"].append("production-4")
    world.tables["gate"] = {"approvers": ["carol", "bob"], "approvals": 2}
    world.tables["production"]["soak"] = {"every": "5m", "failures": 2, "within": "1m"}
    world.lane.running = True
    await world.released("1.4.0")
    refusal = await world.refusal()
    for fault in (
        "secret env:FORGE_TOKEN is missing or empty",
        "secret env:ON_CALL is missing or empty",
        "secret env:APPROVERS is missing or empty",
        "production.hosts[3]: no key of production-4 is known: run `ssh-keyscan",
        "1.4.0 was released on",
        "a rollback of shop is still running as release-shop-rollback",
        "gate: 2 approvals are needed, but with carol as the requester only bob may approve",
        "production.soak: 2 failures never fall within 1 min when a look comes every 5 min",
    ):
        assert str(refusal).count(fault) == 1, f"{fault} in {refusal}"
    assert len(refusal.evidence) == 8
    assert refusal.cause is Cause.REFUSED


async def test_one_fault_that_several_looks_meet_is_said_once(world: World) -> None:
    world.tables["project"] |= {"repository": "http://127.0.0.1:1/acme/shop.git", "user": "release-bot"}
    del os.environ["FORGE_TOKEN"]
    refusal = await world.refusal()
    assert str(refusal).count("env:FORGE_TOKEN") == 1
    assert refusal.cause is Cause.CREDENTIALS


async def test_a_faulty_file_does_not_hide_what_the_ledger_knows(world: World) -> None:
    await world.released("1.4.0")
    del world.tables["gate"]
    refusal = str(await world.refusal())
    assert "shop.toml: gate: is missing" in refusal
    assert "1.4.0 was released on" in refusal


async def test_the_host_of_the_manifest_must_be_known_too(world: World) -> None:
    world.tables["artifact"]["manifest"] = {"host": "builder", "file": "/srv/digests.txt"}
    assert "artifact.manifest.host: no key of builder is known" in str(await world.refusal())


async def test_an_unreadable_known_hosts_is_named_with_the_host(world: World) -> None:
    (world.folder / "known_hosts").write_text("production-1 ssh-ed25519 AAAAnonsense\n")
    assert "production.hosts[0]: " in str(await world.refusal())


async def test_a_requester_who_may_approve_counts(world: World) -> None:
    world.tables["gate"] = {"approvers": ["carol"], "requester_may_approve": True}
    assert (await world.plan()).version == "1.4.0"


async def test_where_approvals_are_signed_only_who_has_a_key_can_approve(world: World) -> None:
    signers = world.folder / "signers"
    world.tables["gate"] = {"approvers": ["alice", "bob"], "approvals": 2, "allowed_signers": str(signers)}
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    signers.write_text(f'alice {key}bob namespaces="git" {key}')
    refusal = str(await world.refusal())
    assert f"only alice may approve with a key in {signers}" in refusal
    signers.write_text(f"alice {key}bob {key}")
    assert (await world.plan()).version == "1.4.0"
    signers.unlink()
    assert f"allowed_signers {signers} can't be read" in str(await world.refusal())


async def test_hours_by_the_clocks_of_nowhere_are_refused_before_anything_is_built(world: World) -> None:
    world.tables["gate"] = {"approvers": ["alice"], "zone": "Europe/Atlantis", "windows": [{"from": "09:00"}]}
    assert "gate.zone: this worker knows no time zone 'Europe/Atlantis'" in str(await world.refusal())


async def test_what_can_not_be_looked_at_now_is_tried_again(world: World) -> None:
    world.lane.silent = True
    with pytest.raises(Unreachable, match="Temporal does not tell"):
        await world.plan()


async def test_a_fault_is_said_even_if_something_else_could_not_be_looked_at(world: World) -> None:
    world.lane.silent = True
    await world.released("1.4.0")
    assert "was released on" in str(await world.refusal())


async def test_a_ledger_that_is_away_is_tried_again(world: World) -> None:
    world.ledger = Ledger(f"sqlite:///{world.folder}/no/folder/ledger.db")
    with pytest.raises(Unreachable, match="the ledger at"):
        await world.plan()
    world.ledger.close()


async def test_a_rollback_by_hand_goes_to_the_good_version_before(world: World) -> None:
    await world.released("1.3.0", OLD_DIGEST)
    await world.released("1.4.0")
    plan = await world.plan_rollback()
    assert plan.image.reference == f"registry.example.net/acme/shop:v1.3.0@{OLD_DIGEST}"
    assert plan.evidence[0] == plan.image.reference
    assert plan.summary.startswith("back to v1.3.0, released 20")


async def test_a_rollback_by_hand_goes_to_a_named_version(world: World) -> None:
    await world.released("1.2.0", OLD_DIGEST)
    await world.released("1.3.0")
    await world.released("1.4.0")
    assert (await world.plan_rollback(to_version="1.2.0")).image.digest == OLD_DIGEST


async def test_a_rollback_to_what_was_never_released_names_what_was(world: World) -> None:
    await world.released("1.3.0")
    for order, what in (({"to_version": "1.1.0"}, "1.1.0 was never released"), ({}, "no good version is before")):
        with pytest.raises(Refused, match=rf"shop can't be rolled back: {what}.*\(it knows 1\.3\.0\)"):
            await world.plan_rollback(**order)


async def test_a_rollback_needs_neither_the_forge_nor_people(world: World) -> None:
    await world.released("1.3.0")
    await world.released("1.4.0")
    for name in ("FORGE_TOKEN", "ON_CALL", "APPROVERS"):
        del os.environ[name]
    world.tables["project"]["repository"] = "http://127.0.0.1:1/acme/shop.git"
    world.tables["staging"]["hosts"] = ["unknown"]
    assert (await world.plan_rollback()).image.version == "1.3.0"


async def test_a_rollback_beside_another_is_refused_and_so_is_one_that_can_not_log_in(world: World) -> None:
    await world.released("1.3.0")
    await world.released("1.4.0")
    world.lane.running = True
    del os.environ["SSH_KEY"]
    world.tables["production"]["hosts"].append("production-4")
    with pytest.raises(Refused) as caught:
        await world.plan_rollback()
    for fault in ("still running", "env:SSH_KEY is missing", "production.hosts[3]: no key of production-4"):
        assert fault in str(caught.value)
