"""Swap and putting back on real engines."""

import pytest

from runbook.image import Image
from tests.hosts.host import Host
from tests.hosts.shop import Shop

pytestmark = pytest.mark.hosts


async def test_a_swap_serves_the_new_version_and_keeps_the_old_one_stopped(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    service = shop.service(host)
    before = await service.legacy(old)
    back = await service.way_back(2)
    made = await service.swap(new, 2, back)
    seen = await service.seen()
    assert await service.version() == "v1.1.0"
    assert seen[service.environment.container].id == made.container_id
    assert {name: c.id for name, c in seen.items() if not c.alive} == {f"{service.environment.container}-old-2": before}
    assert (back.digest, back.version) == (old.digest, "1.0.0")
    await service.healthy(new, 2, made.container_id)
