import os

import pytest

from activities.errors import Refused
from runbook.way_back import lines_of
from tests.activities.planning_world import World
from tests.projects import DIGEST, OLD_DIGEST


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
        with pytest.raises(Refused, match=rf"shop can't be rolled back: {what}.*\(it knows 1\.3\.0\)") as refused:
            await world.plan_rollback(**order)
        # Whoever reads it may have said it with the starter's --to.
        assert "to_version" not in str(refused.value)


@pytest.mark.parametrize("order", [{}, {"to_version": "0.9.0"}])
async def test_before_the_first_release_is_what_every_host_ran_then(world: World, order: dict[str, str]) -> None:
    await world.ran_before("1.0.1", *[["shop (0.9.0, running) 0123", *lines_of("0.9.0", OLD_DIGEST)]] * 3)
    await world.released("1.0.1")
    plan = await world.plan_rollback(**order)
    assert plan.image.reference == f"registry.example.net/acme/shop:v0.9.0@{OLD_DIGEST}"
    assert plan.summary == "back to v0.9.0, which ran before the first release"


async def test_a_rollback_to_what_was_never_released_names_what_ran_before_the_first_release_too(world: World) -> None:
    await world.ran_before("1.0.1", lines_of("0.9.0", OLD_DIGEST))
    await world.released("1.0.1")
    known = r"as released \(it knows 1\.0\.1\), or 0\.9\.0, which ran before the first release$"
    with pytest.raises(Refused, match=f"0.8.0 was never released: name one that the ledger knows {known}"):
        await world.plan_rollback(to_version="0.8.0")


@pytest.mark.parametrize(
    "found",
    [
        [lines_of("0.9.0", OLD_DIGEST), lines_of("0.9.1", DIGEST)],
        [lines_of("0.9.0", OLD_DIGEST), lines_of("0.9.0", DIGEST)],
        [lines_of("0.9.0", OLD_DIGEST), lines_of("0.9.0", None)],
        [lines_of("0.9.0", OLD_DIGEST), lines_of(None, OLD_DIGEST)],
        # A host on which nothing ran.
        [lines_of("0.9.0", OLD_DIGEST), []],
        # Rows of a ledger that did not name the version yet.
        [[f"digest: {OLD_DIGEST}"], [f"digest: {OLD_DIGEST}"]],
        # No version that an image could be named by.
        [lines_of("latest", OLD_DIGEST)],
        [],
    ],
)
@pytest.mark.parametrize("order", [{}, {"to_version": "0.9.0"}])
async def test_what_ran_before_the_first_release_is_refused_unless_it_is_known_of_all_hosts_alike(
    world: World, found: list[list[str]], order: dict[str, str]
) -> None:
    await world.ran_before("1.0.1", *found)
    await world.released("1.0.1")
    with pytest.raises(
        Refused, match=r"not on record as the same version and digest on every host: .* by hand \(docs/"
    ):
        await world.plan_rollback(**order)


async def test_a_rollback_needs_neither_the_forge_nor_people(world: World) -> None:
    await world.released("1.3.0")
    await world.released("1.4.0")
    for name in ("FORGE_TOKEN", "ON_CALL", "APPROVERS"):
        del os.environ[name]
    world.tables["project"]["repository"] = "http://127.0.0.1:1/acme/shop.git"
    world.tables["staging"]["hosts"] = ["unknown"]
    assert (await world.plan_rollback()).image.version == "1.3.0"


async def test_a_file_that_no_release_should_go_by_holds_no_rollback_up(world: World) -> None:
    """Its soak could never fail: that is a fault of what is to come, not of what is to be left."""
    await world.released("1.3.0", OLD_DIGEST)
    await world.released("1.4.0")
    world.tables["production"]["soak"] = {"every": "1m"}
    assert (await world.plan_rollback()).image.digest == OLD_DIGEST
    with pytest.raises(Refused, match=r"production\.soak\.within"):
        await world.plan()


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
