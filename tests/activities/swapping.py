"""A swap as the tests make it, and what a host looks like afterwards."""

from datetime import timedelta
from typing import Any

from activities.errors import StepError
from activities.putting_back import PuttingBack
from activities.swap import Swap
from activities.way_back import way_back
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import SwappedContainer, WayBack, WayBackToRecord
from tests.activities.host_bench import (
    ADDRESS,
    SETTLE,
    Bench,
    Interrupted,
    Killed,
    answered,
    put_back_order,
    ref,
    swap_order,
    telling,
)
from tests.epochs import epoch_of, in_short


async def lines() -> list[str]:
    return ["COLOUR=green"]


async def swap(
    bench: Bench,
    environment: EnvironmentTable,
    image: Image,
    epoch: int,
    *,
    engine: Any = None,
    back: WayBack | None = None,
    settle: timedelta = SETTLE,
) -> SwappedContainer:
    used = engine or bench.engine
    return await telling(Swap(used, swap_order(environment, image, epoch, back), lines, settle).make())


async def recorded(bench: Bench, environment: EnvironmentTable, epoch: int) -> WayBack:
    order = WayBackToRecord(ref=ref(epoch), environment=environment, host=ADDRESS, artifact=bench.artifact())
    return await way_back(bench.engine, order)


async def put_back(bench: Bench, environment: EnvironmentTable, epoch: int, back: WayBack, failed: int) -> None:
    order = put_back_order(bench, environment, epoch, back, failed)
    await PuttingBack(bench.engine, order, lines, SETTLE).make()


async def killed(
    bench: Bench, environment: EnvironmentTable, image: Image, epoch: int, at: int | str, settle: timedelta = SETTLE
) -> None:
    """One attempt that dies before this call, or ends by itself before it comes to that."""
    engine = Interrupted(bench.engine, at)
    try:
        await swap(bench, environment, image, epoch, engine=engine, settle=settle)
    except (Killed, StepError):
        return


async def names(bench: Bench, environment: EnvironmentTable) -> dict[str, str]:
    return {in_short(c.name.replace(environment.container, "shop", 1)): c.state for c in await bench.seen(environment)}


async def assert_swapped(bench: Bench, environment: EnvironmentTable, image: Image, epoch: int, kept: str) -> None:
    assert await names(bench, environment) == {"shop": "running", f"shop-old-{epoch}": "exited"}
    serving, old = await bench.seen(environment)
    assert serving.labels["runbook.digest"] == image.digest
    assert serving.labels["runbook.epoch"] == str(epoch_of(epoch))
    assert old.id == kept
    assert (await answered(environment))["version"] == image.tag
