"""How long a swap leaves the service away, against what a stop and a start of the same image cost on the same engine."""

import asyncio
import time
from collections.abc import Callable
from statistics import median

import pytest

from deploy.sandbox.images_push import push_image
from runbook.image import Image
from tests.hosts.host import Host
from tests.hosts.images import quick
from tests.hosts.probing import probing
from tests.hosts.shop import NAME, Service, Shop

pytestmark = pytest.mark.hosts

ROUNDS, MEASUREMENTS = 7, 3
AT_MOST = 1.3
# So that there is a good look before and after.
SOME_LOOKS = 0.1


async def test_a_swap_is_away_for_hardly_longer_than_a_stop_and_a_start(
    shop: Shop, host: Host, record_property: Callable[[str, object], None]
) -> None:
    service = shop.unwatched(host)
    old, new = [await published(shop, version) for version in ("3.0.0", "3.1.0")]
    await service.legacy(old)
    await (await service.engine()).pull(new.repository, new.digest, None)
    # Where other work takes the processor from the swap, but not from the engine, it is measured again.
    for measurement in range(MEASUREMENTS):
        away, stop_and_start = await measured(service, (old, new), 2 + measurement * ROUNDS)
        # In pairs, each of one moment: how busy the machine is changes from one to the next.
        ratio = median(one / other for one, other in zip(away, stop_and_start, strict=True))
        if ratio <= AT_MOST:
            break
    record_property("away", [round(each, 3) for each in away])
    record_property("stop and start", [round(each, 3) for each in stop_and_start])
    record_property("ratio", round(ratio, 2))
    print(f"away {away}, stop and start {stop_and_start}: ratio {ratio:.2f}")  # noqa: T201 - the figure is what it is run for
    assert ratio <= AT_MOST, (away, stop_and_start)


async def measured(service: Service, images: tuple[Image, Image], first: int) -> tuple[list[float], list[float]]:
    """Seconds that each swap left the service away, and that a stop and a start took just before."""
    stop_and_start, swaps = list[float](), list[tuple[float, float]]()
    with probing(service.host.address, service.environment.port) as probed:
        for epoch in range(first, first + ROUNDS):
            stop_and_start.append(await restarted(service))
            swaps.append(await swapped(service, images[epoch % 2 == 0], epoch))
    away = [probed.away(*swap) for swap in swaps]
    assert probed.rate >= 50, f"only {probed.rate:.0f} looks in a second: too few to tell"
    assert min(away) > 0, "a swap of one port can't be unnoticed: the prober is blind"
    return away, stop_and_start


async def published(shop: Shop, version: str) -> Image:
    digest = await push_image(shop.registry.address, NAME, quick(version), [f"v{version}"])
    return shop.image(version, digest)


async def restarted(service: Service) -> float:
    """Seconds of `docker stop` and `docker start`, by the engine's own command line, on the host."""
    name, host = service.environment.container, service.host
    begun = time.monotonic()
    await asyncio.to_thread(host.run, "docker", "stop", name)
    await asyncio.to_thread(host.run, "docker", "start", name)
    took = time.monotonic() - begun
    await service.version()
    return took


async def swapped(service: Service, image: Image, epoch: int) -> tuple[float, float]:
    """When a swap began, and when its users had the service back."""
    await asyncio.sleep(SOME_LOOKS)
    begun = time.monotonic()
    await service.swap(image, epoch, await service.way_back(epoch))
    await service.version()
    await asyncio.sleep(SOME_LOOKS)
    return begun, time.monotonic()
