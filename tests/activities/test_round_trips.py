"""How often a host's engine is asked for a release's work on it, counted behind the forwarded socket."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from activities.clients.health import HttpProbe
from activities.hosts import HostActivities
from runbook.service import HealthToVerify, ImageToPull
from tests.activities.host_bench import ADDRESS, SETTLE, Bench, answered, host_bench, ref, swap_order
from tests.activities.performing import perform
from tests.epochs import in_full, in_short

# Long enough for the service to answer before its engine is asked, on a busy machine too.
PATIENT = timedelta(seconds=20)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def probe() -> AsyncGenerator[HttpProbe]:
    made = HttpProbe(within=2)
    yield made
    await made.aclose()


@pytest.fixture
def group(bench: Bench, probe: HttpProbe) -> HostActivities:
    return HostActivities(bench.hosts, probe, PATIENT)


async def test_pull_swap_and_verification_of_a_host_take_a_dozen_round_trips(
    bench: Bench, group: HostActivities
) -> None:
    """In the steady state: something serves, and a container of the release before it is there to be removed."""
    environment = bench.environment()
    for epoch, version in ((10, "1.0.0"), (20, "1.1.0")):
        await perform(group.swap, swap_order(environment, await bench.pulled(version), epoch))
    await answered(environment)
    image = await bench.publish("1.2.0")
    common = {"ref": ref(30, "1.2.0"), "environment": environment, "host": ADDRESS}
    bench.forget_requests()
    await perform(group.pull, ImageToPull.model_validate({**common, "image": image}))
    swapped = await perform(group.swap, swap_order(environment, image, 30))
    checked = {**common, "image": image, "container_id": swapped.container_id}
    await perform(group.verify, HealthToVerify.model_validate(checked))
    assert len(bench.requests()) <= 12, bench.requests()
    names = {in_short(c.name): c.state for c in await bench.seen(environment)}
    assert names == {"shop": "running", "shop-old-30": "exited"}
    assert (await answered(environment))["version"] == "v1.2.0"


async def test_a_service_that_does_not_answer_yet_is_watched_through_its_engine(bench: Bench, probe: HttpProbe) -> None:
    environment = bench.environment()
    image = await bench.publish("1.0.0", "slow_start", seconds=2)
    made = await perform(HostActivities(bench.hosts, probe, SETTLE).swap, swap_order(environment, image, 10))
    assert [asked for asked in bench.requests() if asked.endswith(f"/containers/{in_full('shop-new-10')}/json")]
    assert (await bench.shape(environment)) == {"shop": (made.container_id, "running")}


async def test_an_image_that_is_gone_is_pulled_before_anything_is_stopped(bench: Bench, group: HostActivities) -> None:
    environment = bench.environment()
    await perform(group.swap, swap_order(environment, await bench.pulled("1.0.0"), 10))
    image = await bench.publish("1.1.0")
    bench.forget_requests()
    await perform(group.swap, swap_order(environment, image, 20))
    asked = [request.split("?")[0].rsplit("/", 1)[-1] for request in bench.requests()]
    pulled = next(at for at, request in enumerate(bench.requests()) if "/images/create" in request)
    assert pulled < asked.index("stop")
    assert (await answered(environment))["version"] == "v1.1.0"
