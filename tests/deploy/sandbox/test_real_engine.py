import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from deploy.sandbox.engine import build_engine
from deploy.sandbox.engine_choice import NoEngine, choose_engine
from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.real_engine import build_real_engine
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import serve
from tests.deploy.sandbox.engine_bench import run

ADDRESSES = {"production-1": "127.0.7.21", "production-2": "127.0.7.22"}


class Fleet:
    """Two hosts in front of one engine; `real` is that engine without anything between."""

    def __init__(self, reference: str, real: Any, hosts: dict[str, Any]) -> None:
        self.reference = reference
        self.real = real
        self.one, self.two = hosts.values()

    async def shop(self, host: Any, **how: Any) -> Any:
        return await run(host.containers.create, self.reference, name="shop", **how)


@contextlib.asynccontextmanager
async def fleet_of(folder: Path) -> AsyncIterator[Fleet]:
    """The filter speaks the Engine API only, so the engine behind it is the sandbox's small one here."""
    async with contextlib.AsyncExitStack() as stack:
        registry = await serve(build_registry(folder / "registry", RegistrySettings()))
        stack.push_async_callback(registry.close)
        image = build_image("1.0.0")
        await push_image(f"127.0.0.1:{registry.port}", "acme/shop", image, ["v1.0.0"])
        sockets = {"real": folder / "real.sock", **{name: folder / f"{name}.sock" for name in ADDRESSES}}
        real = await serve(build_engine(folder / "real", address="127.0.7.20", name="machine"), uds=sockets["real"])
        stack.push_async_callback(real.close)
        for name, address in ADDRESSES.items():
            app = build_real_engine(sockets["real"], folder / name, address=address, name=name, owner="c0ffee")
            served = await serve(app, uds=sockets[name])
            stack.push_async_callback(served.close)
        clients = {}
        for name, path in sockets.items():
            clients[name] = await run(docker.DockerClient, base_url=f"unix://{path}", version="auto", timeout=20)
            stack.callback(clients[name].close)
        repository = f"127.0.0.1:{registry.port}/acme/shop"
        await run(clients["production-1"].images.pull, repository, tag=image.digest)
        yield Fleet(f"{repository}@{image.digest}", clients.pop("real"), clients)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(tmp_path) as made:
        yield made


async def test_two_hosts_have_a_container_of_one_name_and_see_their_own(fleet: Fleet) -> None:
    mine, theirs = await fleet.shop(fleet.one), await fleet.shop(fleet.two)
    assert mine.id != theirs.id
    for host, own in ((fleet.one, mine), (fleet.two, theirs)):
        (seen,) = await run(host.containers.list, all=True, filters={"name": "^/?shop$"})
        assert (seen.id, seen.name) == (own.id, "shop")
        assert "sandbox.host" not in seen.labels
    names = [container.name for container in await run(fleet.real.containers.list, all=True)]
    assert sorted(names) == ["sandbox.c0ffee.production-1.shop", "sandbox.c0ffee.production-2.shop"]


async def test_another_host_s_container_is_not_there_even_by_its_id(fleet: Fleet) -> None:
    theirs = await fleet.shop(fleet.two)
    for doing in (fleet.one.api.inspect_container, fleet.one.api.start, fleet.one.api.remove_container):
        with pytest.raises(docker.errors.NotFound):
            await run(doing, theirs.id)
    assert (await run(fleet.two.containers.get, "shop")).status == "created"


async def test_both_hosts_publish_the_same_port_each_on_its_own_address(fleet: Fleet) -> None:
    for host, address in ((fleet.one, ADDRESSES["production-1"]), (fleet.two, ADDRESSES["production-2"])):
        container = await fleet.shop(host, ports={"8080/tcp": 18080})
        await run(container.start)
        await run(container.reload)
        assert container.ports == {"8080/tcp": [{"HostIp": address, "HostPort": "18080"}]}


async def test_a_conflict_speaks_of_the_host_s_own_name(fleet: Fleet) -> None:
    await fleet.shop(fleet.one)
    with pytest.raises(docker.errors.APIError) as refused:
        await fleet.shop(fleet.one)
    assert refused.value.status_code == 409
    assert 'The container name "/shop" is already in use' in str(refused.value.explanation)


async def test_a_container_is_renamed_stopped_and_removed_as_anywhere(fleet: Fleet) -> None:
    container = await fleet.shop(fleet.one)
    await run(container.start)
    async with asyncio.timeout(30):
        while b"listening" not in await run(container.logs):
            await asyncio.sleep(0.05)
    await run(container.rename, "shop-old")
    assert (await run(fleet.one.containers.get, "shop-old")).id == container.id
    await run(container.stop, timeout=2)
    assert b"listening" in await run(container.logs)
    await run(container.remove)
    assert await run(fleet.one.containers.list, all=True) == []


async def test_what_a_release_does_not_use_is_not_passed_on(fleet: Fleet) -> None:
    await fleet.shop(fleet.two)
    with pytest.raises(docker.errors.NotFound):
        await run(fleet.one.containers.prune)
    assert len(await run(fleet.two.containers.list, all=True)) == 1


async def test_what_ran_when_the_sandbox_ended_runs_again_when_it_is_back(tmp_path: Path) -> None:
    async with fleet_of(tmp_path) as fleet:
        running, stopped = await fleet.shop(fleet.one), await fleet.shop(fleet.two)
        await run(running.start)
    async with fleet_of(tmp_path) as again:
        assert (await run(again.one.containers.get, running.id)).status == "running"
        assert (await run(again.two.containers.get, stopped.id)).status == "created"


async def test_processes_are_chosen_without_asking_and_a_missing_engine_is_said(tmp_path: Path) -> None:
    nowhere = tmp_path / "docker.sock"
    assert await choose_engine("process", nowhere) is None
    assert await choose_engine("auto", nowhere) is None
    with pytest.raises(NoEngine, match="use --engine process"):
        await choose_engine("docker", nowhere)
