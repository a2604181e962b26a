import os

import asyncssh
import pytest

from activities.clients.ledger import Ledger
from activities.errors import Unreachable
from runbook.trouble import Cause
from tests.activities.planning_world import World
from tests.projects import DIGEST, OLD_DIGEST


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


async def test_the_tag_that_the_pipeline_gives_the_commit_is_planned(world: World) -> None:
    plan = await world.plan()
    assert plan.commit_tag == plan.commit
    for pattern, tag in (("sha-{commit:.7}", f"sha-{plan.commit[:7]}"), ("", "")):
        world.tables["artifact"]["commit_tag"] = pattern
        assert (await world.plan()).commit_tag == tag


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
    ):
        assert str(refusal).count(fault) == 1, f"{fault} in {refusal}"
    assert len(refusal.evidence) == 7
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
