"""The fleet of the session, and what a test of it needs of its own."""

from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from activities.clients.hosts import Hosts
from deploy.sandbox.images import find_busybox
from runbook.image import Image
from tests.hosts.fleet import Fleet, fleet, lacking
from tests.hosts.host import ENV_FILE, Host
from tests.hosts.registries import Registry
from tests.hosts.shop import Shop

NAMES = ("one", "two", "three")


@pytest.fixture(scope="session")
def whole_fleet() -> Generator[Fleet]:
    why_not = lacking() or ("" if find_busybox() else "no static busybox")
    if why_not:
        pytest.skip(why_not)
    with fleet() as made:
        made.begin(NAMES)
        yield made


@pytest.fixture(scope="session")
def registry(whole_fleet: Fleet) -> Registry:
    return whole_fleet.registry("open")


@pytest.fixture(scope="session")
def guarded(whole_fleet: Fleet, registry: Registry) -> Registry:
    return whole_fleet.registry("guarded", auth=True, of=registry)


@pytest.fixture
def clean(whole_fleet: Fleet) -> Generator[Fleet]:
    """The fleet with nothing on it; what the test left is removed, whatever state it left a host in."""
    for host in whole_fleet.hosts:
        host.write(ENV_FILE, "COLOUR=green\n")
    yield whole_fleet
    with ThreadPoolExecutor() as pool:
        list(pool.map(_emptied, whole_fleet.hosts))


@pytest.fixture
async def shop(clean: Fleet, registry: Registry) -> AsyncGenerator[Shop]:
    hosts = Hosts()
    made = Shop(clean, registry, hosts)
    try:
        yield made
    finally:
        await made.probe.aclose()
        await hosts.close()


@pytest.fixture
def host(clean: Fleet) -> Host:
    """One host; tests that restart its engine or sshd leave it running again."""
    return clean.hosts[0]


@pytest.fixture
async def old(shop: Shop) -> Image:
    return await shop.publish("1.0.0")


@pytest.fixture
async def new(shop: Shop) -> Image:
    return await shop.publish("1.1.0")


def _emptied(host: Host) -> None:
    api = docker.APIClient(base_url=f"unix://{host.path('/run/docker.sock')}", version="auto")
    api.trust_env = False
    try:
        for container in api.containers(all=True, quiet=True):
            api.remove_container(container["Id"], force=True)
    finally:
        api.close()
