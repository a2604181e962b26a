"""Swaps and puttings back on real engines: the states they end in, and the ways a new version fails."""

import asyncio

import pytest

from activities.errors import Refused, StepError, Unreachable
from deploy.sandbox.images import ImageKind
from runbook import names
from runbook.image import Image
from runbook.trouble import Cause
from tests.epochs import epoch_of, in_full
from tests.hosts.host import ENV_FILE, Host
from tests.hosts.shop import Service, Shop

pytestmark = pytest.mark.hosts


@pytest.fixture
def service(shop: Shop, host: Host) -> Service:
    return shop.service(host)


async def test_a_swap_serves_the_new_version_and_keeps_the_old_one_stopped(
    service: Service, old: Image, new: Image
) -> None:
    name, before = service.environment.container, await service.legacy(old)
    back = await service.way_back(2)
    made = await service.swap(new, 2, back)
    seen = await service.seen()
    assert await service.version() == "v1.1.0"
    assert {key: (c.id, c.state) for key, c in seen.items()} == {
        name: (made.container_id, "running"),
        in_full(f"{name}-old-2"): (before, "exited"),
    }
    assert (back.container_id, back.digest, back.version) == (before, old.digest, "1.0.0")
    await service.healthy(new, 2, made.container_id)


async def test_a_swap_made_again_changes_nothing(service: Service, old: Image, new: Image) -> None:
    await service.legacy(old)
    first = await service.swap(new, 2)
    before = await service.seen()
    again = await service.swap(new, 2)
    after = await service.seen()
    assert first.container_id == again.container_id
    assert {n: (c.id, c.state) for n, c in before.items()} == {n: (c.id, c.state) for n, c in after.items()}


async def test_the_first_release_of_a_service_needs_none_before_it(service: Service, new: Image) -> None:
    back = await service.way_back(1)
    made = await service.swap(new, 1, back)
    assert await service.version() == "v1.1.0"
    restored = await service.put_back(back, 2, failed=1)
    assert (back.container_id, restored.container_id, await service.running()) == (None, None, {})
    assert made.previous_id is None


async def test_the_container_carries_the_labels_and_the_policy(service: Service, host: Host, new: Image) -> None:
    made = await service.swap(new, 7)
    labels = (await service.serving()).labels
    assert {key: labels[key] for key in (names.LABEL_PROJECT, names.LABEL_VERSION, names.LABEL_DIGEST)} == {
        names.LABEL_PROJECT: "shop",
        names.LABEL_VERSION: "1.1.0",
        names.LABEL_DIGEST: new.digest,
    }
    assert (labels[names.LABEL_RELEASE], labels[names.LABEL_EPOCH]) == ("run-7", str(epoch_of(7)))
    assert (await (await service.engine()).inspect(made.container_id)).restart == "unless-stopped"
    host.kill_main_process(made.container_id)
    assert await service.version() == "v1.1.0"


async def test_the_container_has_the_variables_of_the_env_file_to_the_letter(
    service: Service, host: Host, new: Image
) -> None:
    host.write(ENV_FILE, '# what it needs\nCOLOUR=green and blue\nQUOTED="as is" $HOME\n\nEMPTY=\nURL=a=b#c\n')
    made = await service.swap(new, 1)
    await service.version()
    told = host.run("docker", "exec", made.container_id, "/bin/busybox", "env").splitlines()
    wanted = {"COLOUR=green and blue", 'QUOTED="as is" $HOME', "EMPTY=", "URL=a=b#c"}
    assert wanted <= set(told)


async def test_put_back_the_kept_container_serves_again(service: Service, old: Image, new: Image) -> None:
    before = await service.legacy(old)
    back = await service.way_back(2)
    await service.swap(new, 2, back)
    restored = await service.put_back(back, 3, failed=2)
    assert await service.version() == "v1.0.0"
    assert (restored.container_id, restored.kept, restored.digest) == (before, True, old.digest)
    assert await service.running() == {service.environment.container: (before, back.image_id)}
    await service.healthy(old, 3, before)


async def test_put_back_what_is_gone_is_made_anew_from_its_digest(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    before = await service.legacy(old)
    back = await service.way_back(2)
    await service.swap(new, 2, back)
    host.run("docker", "rm", before)
    restored = await service.put_back(back, 3, failed=2)
    assert await service.version() == "v1.0.0"
    assert (restored.kept, restored.digest) == (False, old.digest)
    assert (await service.serving()).image == old.reference


async def test_put_back_what_is_gone_and_was_built_on_the_host_is_made_anew_once(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    engine = await service.engine()
    await engine.pull(old.repository, old.digest, None)
    made = await engine.create(service.container(old, name="build", port=None))
    host.run("docker", "commit", made, "built:v1.0.0")
    await engine.remove(made)
    before = await engine.create(service.container(old, image="built:v1.0.0"))
    await engine.start(before)
    back = await service.way_back(2)
    await service.swap(new, 2, back)
    host.run("docker", "container", "prune", "--force")
    restored = await service.put_back(back, 3, failed=2)
    assert await service.version() == "v1.0.0"
    assert (back.container_id, back.digest, restored.kept) == (before, None, False)
    assert await service.running() == {service.environment.container: (restored.container_id, back.image_id)}
    assert (await service.put_back(back, 3, failed=2)).container_id == restored.container_id


async def test_a_container_that_only_has_a_name_like_ours_is_left_alone(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    engine, stranger = await service.engine(), f"{service.environment.container}-back-1"
    await service.legacy(old)
    beside = await engine.create(service.container(old, name=stranger, port=None))
    await engine.start(beside)
    was = await engine.inspect(beside)
    back = await service.way_back(2)
    await service.swap(new, 2, back)
    await service.put_back(back, 3, failed=2)
    assert await engine.inspect(stranger) == was


async def test_the_kept_container_stays_down_when_the_engine_is_restarted(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    before = await service.legacy(old, restart="always")
    made = await service.swap(new, 2, await service.way_back(2))
    await asyncio.to_thread(host.restart_engine)
    assert await service.version() == "v1.1.0"
    assert (await service.serving()).id == made.container_id
    assert (await service.seen())[in_full(f"{service.environment.container}-old-2")].id == before
    assert len(await service.running()) == 1


@pytest.mark.parametrize("kind", ["exits_at_once", "crash_loop"])
async def test_a_version_that_does_not_stay_up_leaves_the_old_one_serving(
    shop: Shop, service: Service, old: Image, kind: ImageKind
) -> None:
    before = await service.legacy(old)
    broken = await shop.publish("1.1.1", kind=kind, seconds=0.05)
    error = await refused(service, broken)
    assert (error.retryable, error.cause) == (False, Cause.CONTAINER_EXITED)
    assert any("missing setting" in line or "lost the connection" in line for line in error.evidence)
    assert {c.id for c in (await service.seen()).values()} == {before}
    assert await service.version() == "v1.0.0"


async def test_a_crash_loop_slower_than_the_swap_looks_is_found_by_the_health_step(
    shop: Shop, host: Host, old: Image
) -> None:
    service = shop.service(host, health_deadline="2s")
    await service.legacy(old)
    broken = await shop.publish("1.1.2", kind="crash_loop", seconds=1.0)
    made = await service.swap(broken, 2, await service.way_back(2))
    with pytest.raises(Refused, match=service.host.address):
        await service.healthy(broken, 2, made.container_id)
    assert (await (await service.engine()).inspect(made.container_id)).restarts > 0


async def test_a_port_that_a_stranger_holds_is_worth_another_try(
    shop: Shop, service: Service, old: Image, new: Image
) -> None:
    stranger = shop.service(service.host, port=service.environment.port)
    await stranger.legacy(old)
    error = await refused(service, new)
    assert isinstance(error, Unreachable)
    assert "already allocated" in " ".join([str(error), *error.evidence])
    engine = await service.engine()
    await engine.stop(stranger.environment.container, service.environment.stop_timeout)
    await service.swap(new, 2)
    assert await service.version() == "v1.1.0"


async def test_a_name_that_another_project_has_is_refused_and_left_alone(
    shop: Shop, service: Service, old: Image, new: Image
) -> None:
    engine = await service.engine()
    await engine.pull(old.repository, old.digest, None)
    theirs = await engine.create(service.container(old, labels={names.LABEL_PROJECT: "library"}))
    await engine.start(theirs)
    error = await refused(service, new)
    assert "library" in str(error)
    assert await service.version() == "v1.0.0"
    assert (await service.serving()).id == theirs


async def refused(service: Service, image: Image) -> StepError:
    with pytest.raises(StepError) as caught:
        await service.swap(image, 2, await service.way_back(2))
    return caught.value
