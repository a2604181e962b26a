"""Final verification on a host, what no answer means, and the downtime of a swap."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from activities.errors import Refused, Unreachable
from activities.hosts import HostActivities
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import HostToProbe, ImageToPull, WayBackToRecord
from runbook.trouble import Cause
from tests.activities.host_bench import (
    ADDRESS,
    Bench,
    answered,
    swap_order,
)
from tests.activities.hosting import common, health
from tests.activities.performing import perform


@pytest.fixture
async def new(bench: Bench) -> Image:
    return await bench.publish("1.1.0")


async def _another_image(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    engine = bench.engine
    await engine.stop("shop", environment.stop_timeout)
    await engine.rename("shop", "shop-away")
    await bench.legacy(environment, await bench.pulled("1.0.5"))


async def _stopped(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    await bench.engine.stop("shop", environment.stop_timeout)


async def _removed(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    engine = bench.engine
    await engine.stop("shop", environment.stop_timeout)
    await engine.remove("shop")


async def _started_anew(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    await _removed(bench, environment, new)
    await bench.legacy(environment, new)


@pytest.mark.parametrize("change", [_another_image, _stopped, _removed, _started_anew])
async def test_what_the_engine_does_not_list_as_released_is_not_verified(
    bench: Bench,
    group: HostActivities,
    environment: EnvironmentTable,
    old: Image,
    new: Image,
    change: Callable[..., Any],
) -> None:
    made = await perform(group.swap, swap_order(environment, new, 10))
    await change(bench, environment, new)
    with pytest.raises(Refused, match=f"{ADDRESS} does not list .*v1.1.0@sha256:.* as shop, up") as refused:
        await perform(group.verify, health(environment, new, made.container_id))
    assert refused.value.cause == Cause.UNHEALTHY


async def test_what_is_listed_and_does_not_answer_is_looked_at_again(
    bench: Bench, group: HostActivities, environment: EnvironmentTable
) -> None:
    image = await bench.publish("1.1.0", "wrong_version")
    made = await perform(group.swap, swap_order(environment, image, 10))
    await answered(environment)
    with pytest.raises(Unreachable, match=ADDRESS) as wrong:
        await perform(group.verify, health(environment, image, made.container_id))
    assert wrong.value.cause == Cause.WRONG_VERSION


async def test_a_host_that_is_down_is_named_by_every_step(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    await bench.ssh.down()
    back = WayBackToRecord(**common(environment), artifact=bench.artifact())
    for work in (
        perform(group.pull, ImageToPull(**common(environment), image=old)),
        perform(group.record_way_back, back),
        perform(group.swap, swap_order(environment, old, 10)),
        perform(group.probe, HostToProbe(**common(environment))),
    ):
        with pytest.raises(Unreachable, match=ADDRESS) as down:
            await work
        assert down.value.cause == Cause.UNREACHABLE


async def test_a_swap_says_how_long_the_service_was_away(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    await bench.legacy(environment, old)
    await answered(environment)
    told: list[Any] = []
    made = await perform(group.swap, swap_order(environment, new, 10), beats=lambda *details: told.append(details))
    assert made.requests > made.failures > 0
    assert 0 < made.longest_gap < 10
    assert made.summary.endswith(made.downtime)
    assert made.downtime == (f"down for {made.longest_gap:.2f} s, {made.failures} of {made.requests} requests failed")
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_a_swap_that_takes_the_service_away_for_too_long_counts_as_unhealthy(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, old: Image
) -> None:
    await bench.legacy(environment, old)
    await answered(environment)
    slow = await bench.publish("1.2.0", "slow_start", seconds=1)
    order = swap_order(environment, slow, 10).model_copy(update={"max_downtime": timedelta(seconds=0.3)})
    with pytest.raises(Refused, match=r"was away for .* max_downtime allows 0.3 s") as refused:
        await perform(group.swap, order)
    assert refused.value.cause is Cause.UNHEALTHY
    assert "requests failed" in refused.value.evidence[0]


async def test_a_first_deployment_has_no_downtime(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, new: Image
) -> None:
    order = swap_order(environment, new, 10).model_copy(update={"max_downtime": timedelta(milliseconds=1)})
    made = await perform(group.swap, order)
    assert (made.longest_gap, made.previous_id) == (0.0, None)
