import os

import pytest

from activities.errors import Refused
from tests.activities.planning_world import World
from tests.projects import OLD_DIGEST


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
