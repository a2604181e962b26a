"""How long a swap leaves the service away, against what a stop and a start of the same image cost on the same engine."""

import time
from collections.abc import Callable
from statistics import median

import pytest

from runbook.image import Image
from tests.hosts.host import Host
from tests.hosts.probing import probing
from tests.hosts.shop import Service, Shop

pytestmark = pytest.mark.hosts

ROUNDS = 5
AT_MOST = 1.3


async def test_a_swap_is_away_for_hardly_longer_than_a_stop_and_a_start(
    shop: Shop, host: Host, old: Image, new: Image, record_property: Callable[[str, object], None]
) -> None:
    service = shop.unwatched(host)
    name = service.environment.container
    await service.legacy(old)
    await (await service.engine()).pull(new.repository, new.digest, None)
    away, stop_and_start = list[float](), list[float]()
    for epoch in range(2, 2 + ROUNDS):
        stop_and_start.append(restarted(host, name))
        await service.version()
        away.append(await swapped(service, (old, new)[epoch % 2 == 0], epoch))
    ratio = median(away) / median(stop_and_start)
    record_property("away", [round(each, 3) for each in away])
    record_property("stop and start", [round(each, 3) for each in stop_and_start])
    record_property("ratio", round(ratio, 2))
    print(f"away {away}, stop and start {stop_and_start}: ratio {ratio:.2f}")  # noqa: T201 - the figure is what it is run for
    assert ratio <= AT_MOST, (away, stop_and_start)


def restarted(host: Host, name: str) -> float:
    """Seconds of `docker stop` and `docker start`, by the engine's own command line, on the host."""
    begun = time.monotonic()
    host.run("docker", "stop", name)
    host.run("docker", "start", name)
    return time.monotonic() - begun


async def swapped(service: Service, image: Image, epoch: int) -> float:
    """Seconds that a swap leaves the service away, as its users see it."""
    with probing(service.host.address, service.environment.port) as probed:
        await service.swap(image, epoch, await service.way_back(epoch))
        await service.version()
    assert probed.rate >= 50, f"only {probed.rate:.0f} looks in a second: too few to tell"
    assert probed.away > 0, "a swap of one port can't be unnoticed: the prober is blind"
    return probed.away
