"""A swap, whole and cut short: killed between any two of its calls, resumed too late, and made twice at once."""

import asyncio
from typing import Any

import pytest

from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, Unreachable
from activities.family import labels
from activities.swap import Swap
from runbook.image import Image
from runbook.trouble import Cause
from tests.activities.host_bench import (
    ADDRESS,
    PATIENT,
    SETTLE,
    Bench,
    answered,
    ref,
    swap_order,
)
from tests.activities.swapping import assert_swapped, killed, names, recorded, swap


async def test_the_new_one_serves_and_the_old_one_is_kept_stopped(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    made = await swap(bench, environment, new, 10)
    await assert_swapped(bench, environment, new, 10, before)
    engine = bench.engine
    details = await engine.inspect(made.container_id)
    kept = await engine.inspect(before)
    assert (details.image, details.restart) == (new.reference, "unless-stopped")
    assert "COLOUR=green" in details.environment
    assert details.port_bindings == {"8080/tcp": [{"HostIp": ADDRESS, "HostPort": str(environment.port)}]}
    assert (kept.restart, made.previous_id) == ("no", before)
    assert (await bench.seen(environment))[0].labels == {
        **labels(ref(10), "shop", new.version, new.digest),
        **{k: v for k, v in (await bench.seen(environment))[0].labels.items() if k.startswith("org.")},
    }


async def test_the_first_deployment_needs_no_old_one(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    made = await swap(bench, environment, new, 10)
    assert (made.previous_id, await names(bench, environment)) == (None, {"shop": "running"})
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_swap_that_is_done_changes_nothing_and_asks_little(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    first = await swap(bench, environment, new, 10)
    before = await bench.shape(environment)
    bench.forget_requests()
    again = await swap(bench, environment, new, 10)
    assert (again.container_id, again.previous_id) == (first.container_id, first.previous_id)
    assert len(bench.requests()) == 1
    assert await bench.shape(environment) == before


async def test_a_swap_takes_a_dozen_calls(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    bench.forget_requests()
    await swap(bench, environment, new, 10)
    assert len(bench.requests()) <= 13, bench.requests()


async def test_only_the_release_before_is_kept(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    second = await swap(bench, environment, new, 10)
    third = await bench.pulled("1.2.0")
    await swap(bench, environment, third, 20)
    await assert_swapped(bench, environment, third, 20, second.container_id)


async def test_the_way_back_is_kept_whatever_it_is_called(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    first = await bench.legacy(environment, old)
    back = await recorded(bench, environment, 20)
    # A swap of an earlier run comes between the recording and ours, with the recorded image again.
    await swap(bench, environment, old, 10)
    await swap(bench, environment, new, 20, back=back)
    assert first in {container.id for container in await bench.seen(environment)}


async def test_staging_and_production_of_a_project_share_a_host(bench: Bench, old: Image, new: Image) -> None:
    production, staging = bench.environment("shop"), bench.environment("shop-staging")
    await swap(bench, production, old, 10)
    await swap(bench, staging, new, 20)
    assert (await answered(production))["version"] == "v1.0.0"
    assert (await answered(staging))["version"] == "v1.1.0"
    await swap(bench, production, new, 15)
    assert (await answered(production))["version"] == "v1.1.0"
    assert {c.name for c in await bench.seen(staging)} == {"shop-staging"}


async def test_the_name_of_another_project_is_not_touched(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    engine = bench.engine
    other = labels(ref(1), "shop", "1.0.0", old.digest) | {"runbook.project": "till"}
    await engine.create(ContainerToCreate(name="shop", image=old.reference, labels=other))
    before = await bench.shape(environment)
    with pytest.raises(Refused, match="belongs to project till, not to shop"):
        await swap(bench, environment, new, 10)
    assert await bench.shape(environment) == before


async def test_a_later_run_is_left_alone(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    await swap(bench, environment, new, 20)
    before = await bench.shape(environment)
    bench.forget_requests()
    with pytest.raises(Refused, match="run-20") as refused:
        await swap(bench, environment, old, 10)
    assert refused.value.cause == Cause.FENCED
    assert all(line.startswith("GET ") for line in bench.requests())
    assert await bench.shape(environment) == before


async def test_what_somebody_started_since_the_recording_is_not_replaced(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    first = await bench.legacy(environment, old)
    back = await recorded(bench, environment, 10)
    engine = bench.engine
    await engine.stop(first, environment.stop_timeout)
    await engine.remove(first)
    await bench.legacy(environment, await bench.pulled("1.0.1"))
    before = await bench.shape(environment)
    with pytest.raises(Refused, match=r"runs shop \(v1.0.1, running\), not shop \(1.0.0\) as recorded"):
        await swap(bench, environment, new, 10, back=back)
    assert await bench.shape(environment) == before


@pytest.mark.parametrize("kind", ["exits_at_once", "crash_loop"])
async def test_a_new_one_that_does_not_stay_up_gives_the_service_back(bench: Bench, old: Image, kind: Any) -> None:
    environment = bench.environment()
    before = await bench.legacy(environment, old)
    bad = await bench.pulled("1.1.0", kind, seconds=0.02)
    with pytest.raises(Refused, match=r"v1\.1\.0 did not stay up, v1\.0\.0 serves again") as refused:
        await swap(bench, environment, bad, 10, settle=PATIENT)
    assert refused.value.cause == Cause.CONTAINER_EXITED
    assert any("missing setting" in line or "lost the connection" in line for line in refused.value.evidence)
    assert {c.name: (c.id, c.state) for c in await bench.seen(environment)} == {"shop": (before, "running")}
    assert (await bench.engine.inspect(before)).restart == "unless-stopped"
    assert (await answered(environment))["version"] == "v1.0.0"


async def test_a_first_deployment_that_does_not_stay_up_leaves_nothing(bench: Bench) -> None:
    environment = bench.environment()
    with pytest.raises(Refused, match="nothing ran before"):
        await swap(bench, environment, await bench.pulled("1.1.0", "exits_at_once"), 10, settle=PATIENT)
    assert await bench.seen(environment) == []


async def test_a_port_that_somebody_holds_is_worth_another_attempt(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    other = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, environment.port)
    async with other:
        with pytest.raises(Unreachable, match="did not stay up") as taken:
            await swap(bench, environment, new, 10)
    assert taken.value.cause == Cause.CONTAINER_EXITED
    assert any("address already in use" in line for line in taken.value.evidence)
    await swap(bench, environment, new, 10)
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_corrected_env_file_counts_for_what_a_killed_attempt_created(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    await bench.legacy(environment, old)
    # Dead after the creation, before the old one is touched.
    await killed(bench, environment, new, 10, "rename")
    assert "shop-new-10" in await names(bench, environment)

    async def corrected() -> list[str]:
        return ["COLOUR=blue"]

    engine = bench.engine
    made = await Swap(engine, swap_order(environment, new, 10), corrected, SETTLE).make()
    assert "COLOUR=blue" in (await engine.inspect(made.container_id)).environment
    assert set(await names(bench, environment)) == {"shop", "shop-old-10"}


async def test_a_swap_needs_no_registry_for_an_image_that_was_pulled(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    bench.registry_app.state.faults.requests.clear()
    await swap(bench, environment, new, 10)
    assert len(bench.registry_app.state.faults.requests) == 0
