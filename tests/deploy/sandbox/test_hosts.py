import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import docker
import pytest

from deploy.sandbox.engine import build_engine
from deploy.sandbox.hosts import Host, HostSettings
from deploy.sandbox.serving import serving
from tests.deploy.sandbox.engine_bench import run

ADDRESS = "127.0.7.12"


@dataclass
class Site:
    host: Host
    key: Path
    folder: Path

    def connect(self, **other: Any) -> Any:
        trusted = asyncssh.import_known_hosts(
            f"[{ADDRESS}]:{self.host.port} {(self.folder / 'host_key.pub').read_text()}"
        )
        options: dict[str, Any] = {
            "port": self.host.port,
            "username": "deploy",
            "client_keys": [str(self.key)],
            "known_hosts": trusted,
            "config": [],
            "agent_path": None,
            "connect_timeout": 5,
        }
        return asyncssh.connect(ADDRESS, **{**options, **other})


def write_key(path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    key.write_public_key(path.with_name(path.name + ".pub"))
    return path


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    key, _ = write_key(tmp_path / "client_key"), write_key(tmp_path / "host_key")
    settings = HostSettings(
        name="production-1",
        address=ADDRESS,
        port=0,
        folder=tmp_path / "files",
        engine=tmp_path / "docker.sock",
        host_key=tmp_path / "host_key",
        authorized_keys=[tmp_path / "client_key.pub"],
    )
    host = Host(settings)
    await host.start()
    try:
        yield Site(host, key, tmp_path)
    finally:
        await host.close()


async def test_the_docker_sdk_works_through_the_forwarded_socket(site: Site) -> None:
    engine = build_engine(site.folder / "engine", address=ADDRESS, name="production-1")
    near = site.folder / "near.sock"
    async with serving(engine, uds=site.host.settings.engine), site.connect() as connection:
        await connection.forward_local_path(str(near), "/var/run/docker.sock")
        client = await run(docker.DockerClient, base_url=f"unix://{near}", version="auto")
        assert (await run(client.info))["Name"] == "production-1"
        client.close()


async def test_a_socket_that_is_not_the_engine_s_is_refused(site: Site) -> None:
    async with site.connect() as connection:
        for path in ("/run/other.sock", str(site.host.settings.engine)):
            with pytest.raises(asyncssh.ChannelOpenError, match="no socket"):
                await connection.open_unix_connection(path)


async def test_files_are_read_below_the_host_s_folder_only(site: Site) -> None:
    env = site.folder / "files/etc/opt/shop/production.env"
    env.parent.mkdir(parents=True)
    env.write_text("COLOUR=green\n")
    (site.folder / "secret").write_text("outside")
    async with site.connect() as connection, connection.start_sftp_client() as files:
        async with files.open("/etc/opt/shop/production.env") as file:
            assert await file.read() == "COLOUR=green\n"
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await files.stat("/../secret")


@pytest.mark.parametrize("command", ["true", None])
async def test_there_is_no_shell_and_no_command(site: Site, command: str | None) -> None:
    async with site.connect() as connection:
        with pytest.raises(asyncssh.Error):
            await connection.create_process(command)


async def test_another_user_and_another_key_are_refused(site: Site) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await site.connect(username="root")
    stranger = write_key(site.folder / "stranger")
    with pytest.raises(asyncssh.PermissionDenied):
        await site.connect(client_keys=[str(stranger)])


async def test_forwarding_reaches_loopback_and_nothing_else(site: Site) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"shop\n")
        writer.close()

    server = await asyncio.start_server(greet, ADDRESS, 0)
    port = server.sockets[0].getsockname()[1]
    async with site.connect() as connection:
        reader, writer = await connection.open_connection("localhost", port)
        assert await reader.readline() == b"shop\n"
        writer.close()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("192.0.2.1", 80)
    server.close()


async def test_a_host_that_is_down_refuses_and_comes_back_on_its_port(site: Site) -> None:
    async with site.connect() as connection:
        began = time.monotonic()
        await site.host.down(seconds=0.3)
        await asyncio.wait_for(connection.wait_closed(), 5)
        with pytest.raises(ConnectionRefusedError):
            await site.connect()
    while not site.host.is_up:
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.01)
    assert time.monotonic() - began >= 0.3
    async with site.connect():
        pass


async def test_a_host_that_hangs_accepts_and_says_nothing(site: Site) -> None:
    await site.host.down(mode="hang")
    with socket.create_connection((ADDRESS, site.host.port)) as raw:
        raw.settimeout(0.2)
        with pytest.raises(TimeoutError):
            await run(raw.recv, 1)
    await site.host.up()
    async with site.connect():
        pass


async def test_cutting_ends_every_connection_and_new_ones_are_let_in(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(site.connect()) for _ in range(5)]
        assert site.host.cut() == 5
        await asyncio.wait_for(asyncio.gather(*(each.wait_closed() for each in connections)), 5)
    async with site.connect():
        assert site.host.connections == 1


async def test_another_host_key_is_noticed_and_its_own_is_trusted_again(site: Site) -> None:
    await site.host.use_key(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await site.connect()
    await site.host.use_key(None)
    async with site.connect():
        pass


async def test_many_connections_at_once_are_served(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        made = await asyncio.gather(*(stack.enter_async_context(site.connect()) for _ in range(20)))
        assert len(made) == site.host.connections == 20
