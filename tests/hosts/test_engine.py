"""Every call of our engine's client, on a real engine behind a real sshd."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from activities.clients.engine import Engine
from activities.clients.engine_container import ContainerDetails
from activities.clients.engine_errors import Moved, NotStarted
from runbook.image import Image
from tests.hosts.host import Host
from tests.hosts.shop import Service, Shop

pytestmark = pytest.mark.hosts


@pytest.fixture
def service(shop: Shop, host: Host) -> Service:
    return shop.service(host)


@pytest.fixture
async def engine(service: Service) -> Engine:
    return await service.engine()


async def made(service: Service, image: Image, **changes: object) -> str:
    engine = await service.engine()
    await engine.pull(image.repository, image.digest, None)
    return await engine.create(service.container(image, **changes))


async def inspected(
    engine: Engine, identity: str, is_so: Callable[[ContainerDetails], bool], within: float = 10
) -> ContainerDetails:
    async with asyncio.timeout(within):
        while not is_so(seen := await engine.inspect(identity)):
            await asyncio.sleep(0.02)
        return seen


async def test_an_image_is_pulled_by_digest_and_known_by_it(engine: Engine, old: Image, new: Image) -> None:
    for image in (old, new):
        await engine.pull(image.repository, image.digest, None)
        local = await engine.image(image.pinned)
        assert local
        assert image.pinned in local.digests
        assert image.digest != local.id


async def test_an_image_the_host_does_not_have_is_none(engine: Engine, old: Image) -> None:
    assert await engine.image(f"{old.repository}@sha256:{'0' * 64}") is None


async def test_a_tag_is_pulled_anew_when_it_was_moved(shop: Shop, engine: Engine) -> None:
    first = await shop.publish("1.3.0", build="first")
    await engine.pull(first.repository, "v1.3.0", None)
    second = await shop.publish("1.3.0", build="second")
    await engine.pull(first.repository, "v1.3.0", None)
    local = await engine.image(f"{first.repository}:v1.3.0")
    assert local
    assert second.pinned in local.digests
    assert first.pinned not in local.digests


async def test_starting_stopping_and_renaming_twice_is_the_same_as_once(service: Service, old: Image) -> None:
    engine = await service.engine()
    identity = await made(service, old)
    for _ in range(2):
        await engine.start(identity)
    assert await service.version() == "v1.0.0"
    for _ in range(2):
        await engine.rename(identity, "shop-renamed")
    for _ in range(2):
        await engine.stop("shop-renamed", timedelta(seconds=5))
    seen = await engine.inspect("shop-renamed")
    assert (seen.id, seen.state) == (identity, "exited")
    await engine.remove(identity)
    with pytest.raises(Moved):
        await engine.remove(identity)


async def test_labels_are_listed_as_they_were_given(service: Service, old: Image) -> None:
    given = {"runbook.project": "shop", "runbook.odd": 'a "quoted", comma=equals ü'}
    await made(service, old, labels=given)
    listed = (await service.serving()).labels
    assert {key: listed[key] for key in given} == given


async def test_what_runs_is_never_removed(service: Service, old: Image) -> None:
    engine = await service.engine()
    identity = await made(service, old)
    await engine.start(identity)
    with pytest.raises(Moved):
        await engine.remove(identity)
    assert (await engine.inspect(identity)).running


async def test_a_process_that_dies_is_started_again_by_the_policy(service: Service, host: Host, old: Image) -> None:
    engine = await service.engine()
    identity = await made(service, old, restart="unless-stopped")
    await engine.start(identity)
    host.kill_main_process(identity)
    seen = await inspected(engine, identity, lambda seen: seen.restarts == 1 and seen.running)
    assert not seen.steady
    assert await service.version() == "v1.0.0"


async def test_a_policy_changed_to_no_holds_from_then_on(service: Service, host: Host, old: Image) -> None:
    engine = await service.engine()
    identity = await made(service, old, restart="unless-stopped")
    await engine.start(identity)
    await engine.set_restart(identity, "no")
    host.kill_main_process(identity)
    seen = await inspected(engine, identity, lambda seen: seen.state == "exited")
    assert (seen.restart, seen.restarts) == ("no", 0)


async def test_a_process_that_ignores_term_is_killed_when_its_time_is_up(shop: Shop, service: Service) -> None:
    deaf = await shop.publish("1.4.0", kind="crash_loop", seconds=1000)
    engine = await service.engine()
    identity = await made(service, deaf)
    await engine.start(identity)
    begun = time.monotonic()
    await engine.stop(identity, timedelta(seconds=2))
    took = time.monotonic() - begun
    assert (await engine.inspect(identity)).exit_code == 137
    assert 2 <= took < 8


async def test_the_stop_timeout_is_the_containers_own_too(service: Service, host: Host, old: Image) -> None:
    identity = await made(service, old, stop_timeout=7)
    (told,) = json.loads(host.run("docker", "inspect", identity))
    assert told["Config"]["StopTimeout"] == 7


async def test_a_taken_port_is_worth_another_try(service: Service, old: Image) -> None:
    engine = await service.engine()
    holder = await made(service, old)
    second = await made(service, old, name="shop-second")
    await engine.start(holder)
    with pytest.raises(NotStarted, match=service.host.address) as caught:
        await engine.start(second)
    assert caught.value.retryable
    await engine.stop(holder, timedelta(seconds=5))
    await engine.start(second)
    assert await service.version() == "v1.0.0"


async def test_a_command_that_can_not_be_run_is_not_worth_another_try(
    shop: Shop, service: Service, host: Host, old: Image
) -> None:
    engine = await service.engine()
    await engine.pull(old.repository, old.digest, None)
    host.run("docker", "create", "--name", "shop-bad", "--entrypoint", "/no/such", old.pinned)
    with pytest.raises(NotStarted, match="/no/such") as caught:
        await engine.start("shop-bad")
    assert not caught.value.retryable


async def test_a_taken_name_is_somebody_elses(service: Service, old: Image) -> None:
    engine = await service.engine()
    first = await made(service, old)
    other = await made(service, old, name="shop-other")
    with pytest.raises(Moved, match=service.environment.container):
        await engine.create(service.container(old))
    with pytest.raises(Moved, match=service.environment.container):
        await engine.rename(other, service.environment.container)
    assert (await service.serving()).id == first


async def test_logs_are_the_last_lines(service: Service, old: Image) -> None:
    engine = await service.engine()
    identity = await made(service, old)
    await engine.start(identity)
    await service.version()
    assert await engine.logs(identity, 5, str) == ["listening on port 8080"]
