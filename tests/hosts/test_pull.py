"""Pulling on a real engine from a real registry: what is there, what is refused, and what breaks off."""

import asyncio
import signal
from pathlib import Path

import pytest

from activities.clients.engine import Engine
from activities.errors import Refused, StepError, Unreachable
from activities.hosts import HostActivities
from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from runbook.artifact_table import CredentialsTable
from runbook.image import Image
from runbook.service import ImageToPull, PulledImage
from runbook.trouble import Cause
from tests.activities.performing import perform
from tests.hosts import registries
from tests.hosts.fleet import Fleet
from tests.hosts.host import Host
from tests.hosts.images import for_another_machine, large, push_list
from tests.hosts.processes import until
from tests.hosts.registries import Registry
from tests.hosts.shop import NAME, Service, Shop, ref

pytestmark = pytest.mark.hosts


@pytest.fixture
def service(shop: Shop, host: Host) -> Service:
    return shop.service(host)


@pytest.fixture
async def guarded_image(shop: Shop, guarded: Registry) -> Image:
    image = await shop.publish("1.0.1")
    return image.model_copy(update={"registry": guarded.address})


def credentials(folder: Path, password: str) -> CredentialsTable:
    file = folder / "password"
    file.write_text(password)
    return CredentialsTable(user=registries.USER, password=f"file:{file}")


async def pull(service: Service, image: Image, login: CredentialsTable | None = None) -> PulledImage:
    order = ImageToPull(
        ref=ref(1), environment=service.environment, host=service.host.address, image=image, credentials=login
    )
    return await perform(service.activities.pull, order)


async def refused(service: Service, image: Image, login: CredentialsTable | None = None) -> StepError:
    with pytest.raises(StepError) as caught:
        await pull(service, image, login)
    assert service.host.address in str(caught.value)
    return caught.value


async def test_what_the_host_has_is_had_while_the_registry_is_down(
    shop: Shop, service: Service, registry: Registry
) -> None:
    image = await shop.publish("1.5.0")
    first = await pull(service, image)
    registry.close()
    try:
        again = await pull(service, image)
        made = await service.swap(image, 1)
    finally:
        registry.start()
    assert again.image_id == first.image_id
    assert (await service.serving()).id == made.container_id


async def test_a_registry_with_a_password_gives_to_whoever_has_it(
    service: Service, guarded_image: Image, tmp_path: Path
) -> None:
    assert (await pull(service, guarded_image, credentials(tmp_path, registries.PASSWORD))).image_id


async def test_a_wrong_password_is_refused_and_never_told(
    shop: Shop, clean: Fleet, guarded_image: Image, tmp_path: Path
) -> None:
    error = await refused(shop.service(clean.hosts[1]), guarded_image, credentials(tmp_path, "hunter2"))
    assert (error.retryable, error.cause) == (False, Cause.CREDENTIALS)
    assert "hunter2" not in f"{error} {error.evidence}"


async def test_a_missing_password_is_refused(shop: Shop, clean: Fleet, guarded_image: Image) -> None:
    error = await refused(shop.service(clean.hosts[1]), guarded_image)
    assert (error.retryable, error.cause) == (False, Cause.CREDENTIALS)


async def test_a_registry_that_answers_500_is_worth_another_try(service: Service, whole_fleet: Fleet) -> None:
    broken = whole_fleet.registry("broken", broken=True)
    image = Image(registry=broken.address, name=NAME, version="1.0.0", digest=f"sha256:{'1' * 64}")
    error = await refused(service, image)
    assert error.retryable
    assert "500" in str(error)


async def test_a_digest_the_registry_does_not_have_is_unknown(shop: Shop, service: Service, old: Image) -> None:
    error = await refused(service, shop.image("1.0.0", f"sha256:{'2' * 64}"))
    assert error.cause is Cause.DIGEST_UNKNOWN


@pytest.mark.parametrize("oci", [False, True], ids=["manifest list", "OCI index"])
async def test_an_image_for_several_platforms_is_served_by_the_digest_of_its_list(
    shop: Shop, service: Service, *, oci: bool
) -> None:
    version = f"1.6.{int(oci)}"
    own = build_image(version, runtime="busybox", shape="oci" if oci else "docker")
    images = {"amd64": own, "arm64": for_another_machine()}
    digest = await push_list(shop.registry.address, NAME, f"v{version}", images, oci=oci)
    image = shop.image(version, digest)
    made = await service.swap(image, 1)
    assert await service.version() == f"v{version}"
    assert (await service.healthy(image, 1, made.container_id)).answers == 3
    local = await (await service.engine()).image(image.pinned)
    assert local
    assert image.pinned in local.digests


async def test_an_image_without_this_platform_is_not_pulled(shop: Shop, service: Service) -> None:
    images = {"arm64": for_another_machine()}
    digest = await push_list(shop.registry.address, NAME, "v1.6.2", images, oci=False)
    error = await refused(service, shop.image("1.6.2", digest))
    assert "no matching manifest" in str(error)


async def test_an_image_of_another_architecture_leaves_the_old_one_serving(
    shop: Shop, service: Service, old: Image
) -> None:
    foreign = for_another_machine()
    await push_image(shop.registry.address, NAME, foreign, ["v1.7.0"])
    before = await service.legacy(old)
    with pytest.raises(Refused, match=service.host.address) as caught:
        await service.swap(shop.image("1.7.0", foreign.digest), 2, await service.way_back(2))
    assert caught.value.cause is Cause.CONTAINER_EXITED
    assert "exec format error" in " ".join(caught.value.evidence)
    assert (await service.serving()).id == before
    assert await service.version() == "v1.0.0"


async def test_a_full_disk_is_said_and_room_made_meanwhile_is_used(shop: Shop, cramped: Host, old: Image) -> None:
    built = large(24)
    await push_image(shop.registry.address, NAME, built, ["v1.8.0"])
    service, image = shop.service(cramped), shop.image("1.8.0", built.digest)
    error = await refused(service, image)
    assert error.retryable
    assert "no space left on device" in str(error)
    cramped.run("mount", "-o", "remount,size=200m", "/run/engine")
    assert (await pull(service, image)).image_id


@pytest.fixture
def cramped(clean: Fleet) -> Host:
    """A host whose engine has little room."""
    (host,) = clean.begin(["cramped"], room="20m")
    return host


async def test_an_engine_that_is_restarted_in_mid_pull_pulls_again(
    shop: Shop, service: Service, whole_fleet: Fleet
) -> None:
    built = large(16)
    await push_image(shop.registry.address, NAME, built, ["v1.9.0"])
    image = shop.image("1.9.0", built.digest)
    host = service.host
    whole_fleet.network.slow(host.name, "20mbit")
    try:
        pulling = asyncio.create_task(refused(service, image))
        await asyncio.to_thread(until, lambda: _downloaded(host) > 1_000_000, "the pull is under way")
        await asyncio.to_thread(host.restart_engine, signal.SIGKILL)
        error = await pulling
    finally:
        whole_fleet.network.fast(host.name)
    assert isinstance(error, Unreachable)
    assert (await pull(service, image)).image_id
    engine: Engine = await service.engine()
    assert image.pinned in [digest for listed in await engine.images() for digest in listed.digests]


def _downloaded(host: Host) -> int:
    return sum(file.stat().st_size for file in host.path("/run/engine/tmp").glob("GetImageBlob*"))


async def test_a_registry_that_hangs_is_waited_for_and_the_pull_can_be_ended(
    shop: Shop, service: Service, registry: Registry
) -> None:
    image = await shop.publish("1.9.1")
    activities: HostActivities = service.activities
    order = ImageToPull(ref=ref(1), environment=service.environment, host=service.host.address, image=image)
    registry.pause()
    try:
        for ending in (True, False):
            pulling = asyncio.create_task(perform(activities.pull, order))
            _, pending = await asyncio.wait([pulling], timeout=1)
            assert pending
            if ending:
                pulling.cancel()
                await asyncio.wait([pulling], timeout=2)
                assert pulling.cancelled(), "the engine says nothing, and is waited for"
    finally:
        registry.resume()
    assert (await pulling).image_id
