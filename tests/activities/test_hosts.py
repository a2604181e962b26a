"""The steps on a host as the worker performs them: real SSH, engine, registry and service."""

from typing import Any

import pytest

from activities.binding import performances
from activities.errors import Refused, Unreachable
from activities.hosts import HostActivities
from deploy.sandbox.faults import FaultRule
from runbook import steps
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import HostToProbe, ImageToPull, LogsToFetch, WayBackToRecord
from runbook.trouble import Cause
from runbook.way_back import RanBefore
from tests.activities.host_bench import (
    ADDRESS,
    ENV_FILE,
    Bench,
    answered,
    put_back_order,
    swap_order,
    write_env,
)
from tests.activities.hosting import common, health
from tests.activities.performing import perform


@pytest.fixture
async def new(bench: Bench) -> Image:
    return await bench.publish("1.1.0")


async def test_every_step_on_a_host_has_its_performance(group: HostActivities) -> None:
    done = {getattr(method, "__temporal_activity_definition").name for method in performances(group)}
    wanted = [
        steps.STAGING_HEALTHY.name,
        steps.PULL.name,
        steps.WAY_BACK.name,
        steps.STAGE.name,
        steps.REHEARSE.name,
        steps.PUT_STAGING_BACK.name,
        steps.SWAP.name,
        steps.RETURN.name,
        steps.PUT_BACK.name,
        steps.LOGS.name,
        steps.VERIFY.name,
    ]
    assert done == set(wanted)


async def test_a_release_and_its_return_on_one_host(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    before = await bench.legacy(environment, old)
    pulled = await perform(group.pull, ImageToPull(**common(environment), image=new))
    assert pulled.summary == f"{ADDRESS} has v1.1.0"
    back = await perform(group.record_way_back, WayBackToRecord(**common(environment), artifact=bench.artifact()))
    assert (back.container_id, back.digest, back.version) == (before, old.digest, "1.0.0")
    swapped = await perform(group.swap, swap_order(environment, new, 10, back))
    await answered(environment)
    verified = await perform(group.verify, health(environment, new, swapped.container_id))
    assert verified.container_id == swapped.container_id
    assert verified.evidence[0].startswith(f"shop {new.reference} Up")
    restored = await perform(group.put_back, put_back_order(bench, environment, 20, back, 10))
    assert (restored.container_id, restored.version) == (before, "1.0.0")
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_the_env_file_of_the_host_reaches_the_container(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, new: Image
) -> None:
    write_env(bench.folder, "# settings\nCOLOUR=blue\nPASSWORD=hunter2\n")
    for order in (swap_order(environment, new, 10), swap_order(environment, new, 10)):
        made = await perform(group.stage, order)
        assert "hunter2" not in made.model_dump_json()
    details = await bench.engine.inspect("shop")
    assert {"COLOUR=blue", "PASSWORD=hunter2"} <= set(details.environment)


async def test_a_missing_env_file_stops_nothing(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    before = await bench.legacy(environment, old)
    (bench.folder / "files" / ENV_FILE.removeprefix("/")).unlink()
    with pytest.raises(Refused, match=f"{ADDRESS} has no file {ENV_FILE}"):
        await perform(group.swap, swap_order(environment, new, 10))
    assert {c.name: (c.id, c.state) for c in await bench.seen(environment)} == {"shop": (before, "running")}


async def test_an_image_that_is_there_needs_no_registry(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    bench.registry_app.state.faults.add(FaultRule(match="GET /*", kind="drop_before"))
    pulled = await perform(group.pull, ImageToPull(**common(environment), image=old))
    assert pulled.summary == f"{ADDRESS} has v1.0.0"
    assert pulled.image_id != old.digest


async def test_an_image_whose_digest_is_not_to_be_had_is_never_taken_by_its_tag(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    other = old.model_copy(update={"digest": "sha256:" + "0" * 64})
    for work in (
        perform(group.pull, ImageToPull(**common(environment), image=other)),
        perform(group.swap, swap_order(environment, other, 10)),
    ):
        with pytest.raises(Unreachable) as unknown:
            await work
        assert unknown.value.cause == Cause.DIGEST_UNKNOWN
    assert await bench.seen(environment) == []


async def test_the_way_back_of_an_empty_host_is_none(
    bench: Bench, group: HostActivities, environment: EnvironmentTable
) -> None:
    order = WayBackToRecord(**common(environment), artifact=bench.artifact())
    back = await perform(group.record_way_back, order)
    assert (back.container_id, back.digest, back.version) == (None, None, None)
    assert back.host == ADDRESS


async def test_the_way_back_after_our_own_swap_is_still_what_ran_before(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    before = await bench.legacy(environment, old)
    await perform(group.swap, swap_order(environment, new, 10))
    order = WayBackToRecord(**common(environment), artifact=bench.artifact())
    back = await perform(group.record_way_back, order)
    assert (back.container_id, back.version) == (before, "1.0.0")
    assert RanBefore.read(back.evidence) == RanBefore(version="1.0.0", digest=old.digest)


async def test_the_way_back_of_an_image_with_several_digests_is_the_one_it_was_created_with(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    await bench.legacy(environment, old)
    images = bench.engine_app.state.images
    images.find(old.pinned).digests.insert(0, f"{old.repository}@sha256:{'0' * 64}")
    order = WayBackToRecord(**common(environment), artifact=bench.artifact())
    assert (await perform(group.record_way_back, order)).digest == old.digest


async def test_a_healthy_host_says_its_version(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    await bench.legacy(environment, old)
    await answered(environment)
    probed = await perform(group.probe, HostToProbe(**common(environment)))
    assert probed.version == "v1.0.0"


async def test_a_host_on_which_nothing_runs_yet_is_fine(group: HostActivities, environment: EnvironmentTable) -> None:
    probed = await perform(group.probe, HostToProbe(**common(environment)))
    assert probed.version is None
    assert "runs no shop yet" in probed.summary


@pytest.mark.parametrize("kind", ["unhealthy", "exits_at_once"])
async def test_a_host_that_is_not_healthy_is_named_with_what_it_says(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, kind: Any
) -> None:
    await bench.legacy(environment, await bench.pulled("1.0.0", kind))
    if kind == "unhealthy":
        await answered(environment, "/version")
    with pytest.raises(Unreachable, match=ADDRESS) as unwell:
        await perform(group.probe, HostToProbe(**common(environment)))
    assert unwell.value.cause == Cause.UNHEALTHY
    assert any("shop (v1.0.0" in line for line in unwell.value.evidence)


async def test_the_log_of_the_serving_container_or_of_one_by_id(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    identity = await bench.legacy(environment, old)
    await answered(environment)
    for named in (None, identity):
        found = await perform(group.fetch_logs, LogsToFetch(**common(environment), container_id=named))
        assert any("listening on port" in line for line in found.evidence)
    missing = await perform(group.fetch_logs, LogsToFetch(**common(environment), container_id="0" * 64))
    assert (missing.evidence, missing.summary) == ([], f"{ADDRESS} has no container {'0' * 64}")
