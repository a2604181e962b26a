"""A put-back as the tests make it, and what a host looks like afterwards."""

from datetime import timedelta
from typing import Any

from activities.putting_back import PuttingBack
from activities.swap import Swap
from activities.way_back import way_back
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import RestoredHost, WayBack, WayBackToRecord
from tests.activities.host_bench import (
    ADDRESS,
    SETTLE,
    Bench,
    answered,
    put_back_order,
    ref,
    swap_order,
    telling,
)
from tests.epochs import in_short


async def lines() -> list[str]:
    return ["COLOUR=green"]


async def recorded(bench: Bench, environment: EnvironmentTable, epoch: int = 10) -> WayBack:
    order = WayBackToRecord(ref=ref(epoch), environment=environment, host=ADDRESS, artifact=bench.artifact())
    return await way_back(bench.engine, order)


async def swap(
    bench: Bench,
    environment: EnvironmentTable,
    image: Image,
    epoch: int = 10,
    *,
    engine: Any = None,
    settle: timedelta = SETTLE,
) -> None:
    used = engine or bench.engine
    await telling(Swap(used, swap_order(environment, image, epoch), lines, settle).make())


async def put_back(
    bench: Bench,
    environment: EnvironmentTable,
    back: WayBack,
    epoch: int = 20,
    *,
    engine: Any = None,
    settle: timedelta = SETTLE,
) -> RestoredHost:
    used = engine or bench.engine
    return await PuttingBack(used, put_back_order(bench, environment, epoch, back, 10), lines, settle).make()


async def released(bench: Bench, environment: EnvironmentTable, old: Image | str, new: Image) -> tuple[str, WayBack]:
    """A host on which `new` replaced `old` in the usual way; the old container's id and the way back to it."""
    before = await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    await swap(bench, environment, new)
    return before, back


async def shape(bench: Bench, environment: EnvironmentTable) -> dict[str, tuple[str, str]]:
    seen = await bench.seen(environment)
    return {in_short(c.name.replace(environment.container, "shop", 1)): (c.id, c.state) for c in seen}


async def assert_back(bench: Bench, environment: EnvironmentTable, before: str, epoch: int = 20) -> None:
    seen = await shape(bench, environment)
    assert seen.pop(f"shop-fence-{epoch}")[1] == "created"
    assert seen == {"shop": (before, "running")}
    assert (await bench.engine.inspect(before)).restart == "unless-stopped"
    assert (await answered(environment))["version"] == "v1.0.0"
