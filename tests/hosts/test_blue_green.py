"""Releases behind a real Caddy, on a real engine, through a real sshd: nobody who asks the service notices."""

import asyncio
import contextlib
import ssl
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from activities.answers import ask
from activities.clients.health import HttpProbe
from activities.errors import Refused, Unreachable
from activities.hosts import HostActivities
from deploy.sandbox.images import ImageKind
from deploy.sandbox.images_push import push_image
from runbook.image import Image
from runbook.trouble import Cause
from tests.activities.performing import perform
from tests.epochs import in_full
from tests.hosts.caddy import Caddy, behind, unwatched
from tests.hosts.host import Host
from tests.hosts.images import quick
from tests.hosts.late import Late
from tests.hosts.probing import probing
from tests.hosts.shop import NAME, SETTLE, Content, Service, Shop
from tests.hosts.stages import StagedHosts

pytestmark = pytest.mark.hosts

REQUESTS, EVERY = 5000, 0.01


@pytest.fixture
def caddy(host: Host, shop: Shop) -> Generator[Caddy]:
    with contextlib.closing(Caddy(host)) as made:
        yield made


@pytest.fixture
def service(shop: Shop, host: Host, caddy: Caddy) -> Service:
    made = behind(shop, host, caddy)
    caddy.begin(made.environment.port)
    return made


@pytest.fixture
async def releases(shop: Shop) -> list[Image]:
    """Versions that answer as fast as they are asked."""
    made = [(f"4.{minor}.0", quick(f"4.{minor}.0")) for minor in range(6)]
    pushed = [(v, await push_image(shop.registry.address, NAME, image, [f"v{v}"])) for v, image in made]
    return [shop.image(version, digest) for version, digest in pushed]


@pytest.fixture
def old(releases: list[Image]) -> Image:
    return releases[0]


@pytest.fixture
def new(releases: list[Image]) -> Image:
    return releases[1]


async def test_a_release_is_not_noticed_and_so_is_its_rollback(service: Service, old: Image, new: Image) -> None:
    first = await service.swap(old, 1)
    back = await service.way_back(2)
    with probing(service.host.address, service.environment.port, within=5) as probed:
        made = await service.swap(new, 2, back)
        await service.healthy(new, 2, made.container_id)
        assert await service.version() == "v4.1.0"
        name = service.environment.container
        states = {each: (c.id, c.state) for each, c in (await service.seen()).items()}
        assert states == {
            name: (made.container_id, "running"),
            in_full(f"{name}-old-2"): (first.container_id, "exited"),
        }
        restored = await service.put_back(back, 3, failed=2)
        await service.healthy(old, 3, restored.container_id)
    assert await service.version() == "v4.0.0"
    assert list(await service.running()) == [name]
    assert (restored.container_id, restored.kept) == (first.container_id, True)
    assert probed.lost == 0
    # The step asks as well, from a process that has more to do: on a busy machine a look of its own may be late.
    assert made.requests > 50
    assert made.longest_gap < 1
    assert len(probed.looks) > 200
    assert service.host.run("docker", "port", name) == ""


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("exits_at_once", Cause.CONTAINER_EXITED),
        ("unhealthy", Cause.UNHEALTHY),
    ],
)
async def test_a_broken_image_never_takes_traffic(
    shop: Shop, host: Host, caddy: Caddy, old: Image, kind: ImageKind, cause: Cause
) -> None:
    service = unwatched(behind(shop, host, caddy, health_deadline="1s"))
    caddy.begin(service.environment.port)
    await service.swap(old, 1)
    engine = await service.engine()
    before = await engine.inspect(service.environment.container)
    bad = await shop.publish("1.1.1", kind=kind)
    with probing(host.address, service.environment.port, within=5) as probed, pytest.raises(Refused) as refused:
        await service.swap(bad, 2, await service.way_back(2))
    assert refused.value.cause is cause
    assert refused.value.evidence
    assert (probed.lost, await service.version()) == (0, "v4.0.0")
    assert len(probed.looks) > 20
    # Not even its name was another in between, and nothing of the new one is left.
    assert await engine.inspect(service.environment.container) == before
    assert list(await service.seen()) == [service.environment.container]


async def test_a_connection_made_before_the_switch_brings_its_request_after_it(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    unwatched(service)
    await service.swap(old, 1)
    reader, writer = await asyncio.open_connection(host.address, service.environment.port)
    swapping = asyncio.create_task(service.swap(new, 2))
    async with asyncio.timeout(20):
        while await service.version() != "v4.1.0":
            await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    writer.write(b"GET /version HTTP/1.0\r\nHost: shop\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert b" 200 " in answer.partition(b"\r\n")[0], answer
    await swapping
    assert len(await service.running()) == 1


async def test_a_process_that_comes_back_to_life_at_its_switch_changes_nothing(
    service: Service, releases: list[Image], old: Image, new: Image
) -> None:
    unwatched(service)
    await service.swap(old, 1)
    back, newer = await service.way_back(2), releases[2]
    late = Late(service.swap_order(new, 2, back), await calls_until_the_switch(service, new), SETTLE)
    try:
        assert await late.stopped()
        assert in_full(f"{service.environment.container}-new-2") in await service.running()
        await service.swap(newer, 3, await service.way_back(3))
        before = await service.running()
        late.resume()
        assert (await late.ended()).startswith("Fenced: ")
    finally:
        late.kill()
    assert await service.running() == before
    assert await service.version() == "v4.2.0"


async def calls_until_the_switch(service: Service, image: Image) -> int:
    """The number of the second change at the proxy: the first takes the traffic, the second moves it."""
    names: list[str] = []

    async def happen(_: int, name: str) -> None:
        names.append(name)
        if names.count("send") == 2:
            raise Refused("not now")

    staged = HostActivities(StagedHosts(service.shop.hosts, happen), Content(), SETTLE)
    rehearsed = replace(service, environment=service.environment, activities=staged)
    with pytest.raises(Refused, match="not now"):
        await perform(rehearsed.activities.swap, rehearsed.swap_order(image, 2))
    # The container that it made is made anew by the one that is late.
    engine, name = await service.engine(), in_full(f"{service.environment.container}-new-2")
    await engine.stop(name, service.environment.stop_timeout)
    await engine.remove(name)
    return len(names)


async def test_the_traffic_is_where_it_was_after_the_hosts_restart(
    service: Service, caddy: Caddy, host: Host, releases: list[Image]
) -> None:
    unwatched(service)
    old, new, newer = releases[:3]
    await service.swap(old, 1)
    await service.swap(new, 2)
    caddy.end_switch()
    with pytest.raises(Unreachable, match="is it running there"):
        await service.swap(newer, 3)
    await asyncio.to_thread(host.restart_engine)
    caddy.start_switch()
    assert await service.version(within=20) == new.tag
    assert list(await service.running()) == [service.environment.container]
    # And what it resumed is what the next release goes on from.
    await service.swap(newer, 3)
    assert await service.version() == newer.tag


async def test_tls_of_caddys_own_authority_and_an_admin_api_at_a_port(
    shop: Shop, host: Host, old: Image, new: Image
) -> None:
    secured: dict[str, Any] = {"health": "https://{host}:{port}/health", "version": "https://{host}:{port}/version"}
    with contextlib.closing(Caddy(host, "localhost:2019")) as caddy:
        service = behind(shop, host, caddy, **secured)
        caddy.begin(service.environment.port, tls=True)
        unwatched(service)
        trust = ssl.create_default_context(cadata=caddy.authority())
        probe = HttpProbe(client=httpx.AsyncClient(verify=trust, trust_env=False, timeout=5))
        for epoch, image in ((1, old), (2, new)):
            await service.swap(image, epoch)
            seen = await ask(
                probe,
                service.environment.health_url(host.address),
                service.environment.version_url(host.address),
                image.version,
            )
            assert seen.fault is None, seen.lines
        await probe.aclose()


async def test_what_caddy_lacks_is_refused_with_what_to_do(service: Service, host: Host, new: Image) -> None:
    unwatched(service)
    table = service.environment.proxy
    assert table
    other = table.model_copy(update={"handler": "till"})
    service.environment = service.environment.model_copy(update={"proxy": other})
    with pytest.raises(Refused, match=f"Caddy of {host.address} has no handler with the @id till"):
        await service.swap(new, 1)
    assert await service.seen() == {}


@pytest.mark.timeout(240)
async def test_five_releases_and_a_rollback_lose_none_of_five_thousand_requests(
    service: Service, releases: list[Image]
) -> None:
    unwatched(service)
    await service.swap(releases[0], 1)
    with probing(service.host.address, service.environment.port, EVERY, within=10, late=2) as probed:
        whole = asyncio.create_task(asyncio.sleep(REQUESTS * EVERY + 2))
        for epoch, image in enumerate(releases[1:], start=2):
            back = await service.way_back(epoch)
            await service.swap(image, epoch, back)
            assert await service.version() == image.tag
            await asyncio.sleep(3)
        await service.put_back(back, 8, failed=6)
        assert await service.version() == releases[-2].tag
        await whole
    print(f"{len(probed.looks)} requests, {probed.rate:.1f} a second, {probed.lost} lost")  # noqa: T201 - the figure is what it is run for
    assert len(probed.looks) >= REQUESTS
    assert probed.rate >= 95
    assert probed.lost == 0, f"{probed.lost} of {len(probed.looks)} requests lost"
