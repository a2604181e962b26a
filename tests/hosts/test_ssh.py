"""What can be wrong between a worker and a host's engine: keys, users, sshd itself."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from activities.errors import Refused, Unreachable
from runbook.image import Image
from runbook.trouble import Cause
from tests.epochs import in_full
from tests.hosts.fleet import Fleet
from tests.hosts.host import ENV_FILE, STRANGER, Host
from tests.hosts.shop import Service, Shop

pytestmark = pytest.mark.hosts


@pytest.fixture
def service(shop: Shop, host: Host) -> Service:
    return shop.service(host)


async def test_an_sshd_that_was_restarted_is_connected_to_again(service: Service, host: Host, old: Image) -> None:
    await service.legacy(old)
    host.end_sshd()
    host.start_sshd()
    host.await_sshd()
    # The connection's end is noticed at once, at the latest by the first call.
    assert await again(service) == [service.environment.container]


async def test_an_sshd_that_is_down_is_unreachable_and_the_host_named(service: Service, host: Host) -> None:
    await service.seen()
    host.end_sshd()
    try:
        with pytest.raises(Unreachable, match=host.address):
            await again(service)
    finally:
        host.start_sshd()
        host.await_sshd()
    assert await again(service) == []


async def test_an_sshd_restarted_in_mid_swap_ends_in_a_swap(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    await service.legacy(old)
    back = await service.way_back(2)
    swapping = asyncio.create_task(service.swap(new, 2, back))
    async with asyncio.timeout(20):
        while in_full(f"{service.environment.container}-old-2") not in host.run("docker", "ps", "--all"):
            assert not swapping.done()
            await asyncio.sleep(0.02)
    host.end_sshd()
    host.start_sshd()
    host.await_sshd()
    with contextlib.suppress(Unreachable):
        await swapping
    made = await service.swap(new, 2, back)
    assert await service.version() == "v1.1.0"
    assert list(await service.running()) == [service.environment.container]
    assert (await service.serving()).id == made.container_id


async def test_a_changed_host_key_is_refused(shop: Shop, clean: Fleet, host: Host) -> None:
    service = shop.service(host, ssh=shop.ssh())
    host.end_sshd()
    host.new_host_key()
    host.start_sshd()
    host.await_sshd()
    with pytest.raises(Refused, match="another host key") as caught:
        await service.seen()
    assert host.address in str(caught.value)
    clean.known_hosts()
    assert await service.seen() == {}


async def test_an_unknown_host_is_refused(shop: Shop, host: Host, tmp_path: Path) -> None:
    service = shop.service(host, ssh=shop.ssh(known_hosts=str(tmp_path / "none")))
    with pytest.raises(Refused, match="ssh-keyscan") as caught:
        await service.seen()
    assert host.address in str(caught.value)


async def test_another_key_is_refused(shop: Shop, clean: Fleet, host: Host) -> None:
    service = shop.service(host, ssh=shop.ssh(key=f"file:{clean.new_key('other_key')}"))
    with pytest.raises(Refused, match="authorized_keys") as caught:
        await service.seen()
    assert caught.value.cause is Cause.CREDENTIALS
    assert host.address in str(caught.value)


async def test_a_user_without_the_right_to_the_engine_is_told_so(shop: Shop, host: Host) -> None:
    service = shop.service(host, ssh=shop.ssh(user=STRANGER))
    with pytest.raises(Refused, match="group docker") as caught:
        await service.seen()
    assert host.address in str(caught.value)


async def test_a_socket_that_is_not_there_is_unreachable(shop: Shop, host: Host) -> None:
    service = shop.service(host, ssh=shop.ssh(socket="/run/no-engine.sock"))
    with pytest.raises(Unreachable, match="is Docker running there") as caught:
        await service.seen()
    assert host.address in str(caught.value)


async def test_an_env_file_that_is_not_there_is_refused_before_anything_changed(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    before = await service.legacy(old)
    host.path(ENV_FILE).unlink()
    with pytest.raises(Refused, match=ENV_FILE):
        await service.swap(new, 2)
    assert (await service.serving()).id == before
    assert await service.version() == "v1.0.0"


async def test_an_env_file_that_may_not_be_read_is_refused_before_anything_changed(
    service: Service, host: Host, old: Image, new: Image
) -> None:
    before = await service.legacy(old)
    host.path(ENV_FILE).chmod(0o600)
    with pytest.raises(Refused, match="may not read"):
        await service.swap(new, 2)
    assert (await service.serving()).id == before


async def test_many_files_are_read_at_once_over_one_connection(service: Service, host: Host) -> None:
    read = [service.shop.hosts.read(service.environment, host.address, ENV_FILE) for _ in range(30)]
    assert await asyncio.gather(*read) == [b"COLOUR=green\n"] * 30


async def again(service: Service) -> list[str]:
    """The names of what is seen, at the second try at the latest: the first may be what finds the old connection dead."""
    with contextlib.suppress(Unreachable):
        return list(await service.seen())
    return list(await service.seen())
