"""Three hosts as one production: a promotion that goes wrong on the second leaves all three as they were."""

import asyncio
import contextlib
import re
from datetime import timedelta

import pytest

from activities.clients.hosts import Hosts
from activities.errors import Refused, Unreachable
from runbook.image import Image
from runbook.service import WayBack
from runbook.trouble import Cause
from tests.hosts.fleet import Fleet
from tests.hosts.shop import Service, Shop

pytestmark = pytest.mark.hosts


async def test_a_version_unhealthy_on_the_second_host_leaves_all_three_on_the_old_digest(
    shop: Shop, clean: Fleet, old: Image, new: Image
) -> None:
    services = shop.services(clean.hosts[:3], health_deadline="2s")
    before = await asyncio.gather(*(service.legacy(old) for service in services))
    backs = await asyncio.gather(*(service.way_back(2) for service in services))
    # Broken there alone, as where one host is set up differently.
    services[1].host.write(services[1].environment.env_file, "BROKEN_VERSIONS=v1.1.0\n")
    touched = await promoted(services, backs, new)
    assert len(touched) == 2
    await asyncio.gather(*(service.put_back(back, 3, failed=2) for service, back in touched))
    for service, identity in zip(services, before, strict=True):
        serving = await service.serving()
        image = await (await service.engine()).image(serving.image_id)
        assert (serving.id, serving.state) == (identity, "running")
        assert image
        assert old.pinned in image.digests
        assert list(await service.running()) == [service.environment.container]
        await service.healthy(old, 3, identity)


async def promoted(services: list[Service], backs: list[WayBack], new: Image) -> list[tuple[Service, WayBack]]:
    """Host after host, as a release does it, until one is not healthy; those that were touched."""
    touched: list[tuple[Service, WayBack]] = []
    for service, back in zip(services, backs, strict=True):
        touched.append((service, back))
        made = await service.swap(new, 2, back)
        if (fault := await unwell(service, new, made.container_id)) is not None:
            assert (fault.cause, service) == (Cause.UNHEALTHY, services[1]), str(fault)
            break
    return touched


async def unwell(service: Service, image: Image, container: str) -> Refused | None:
    try:
        await service.healthy(image, 2, container)
    except Refused as error:
        return error
    return None


async def test_a_host_that_can_not_be_reached_does_not_hold_up_the_others(
    shop: Shop, clean: Fleet, old: Image, new: Image
) -> None:
    services = shop.services(clean.hosts[:3])
    before = await asyncio.gather(*(service.legacy(old) for service in services))
    backs = await asyncio.gather(*(service.way_back(2) for service in services))
    await asyncio.gather(*(service.swap(new, 2, back) for service, back in zip(services, backs, strict=True)))
    cut = services[2]
    cut.host.cut()
    try:
        puttings = [asyncio.create_task(s.put_back(b, 3, failed=2)) for s, b in zip(services, backs, strict=True)]
        await asyncio.wait_for(asyncio.gather(*puttings[:2]), 15)
        assert not puttings[2].done()
    finally:
        cut.host.mend()
    with contextlib.suppress(Unreachable):
        await puttings[2]
    await cut.put_back(backs[2], 3, failed=2)
    assert [(await service.serving()).id for service in services] == list(before)
    assert [await service.version() for service in services] == ["v1.0.0"] * 3


async def test_a_host_out_of_reach_is_named_within_the_time_to_connect(shop: Shop, clean: Fleet) -> None:
    host, impatient = clean.hosts[1], Hosts(connect_within=timedelta(seconds=1))
    host.cut()
    try:
        async with asyncio.timeout(5):
            with pytest.raises(Unreachable, match=re.escape(host.address)):
                await impatient.engine(shop.environment(host), host.address)
    finally:
        host.mend()
        await impatient.close()
