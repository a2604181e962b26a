"""The engine behind an SSH host: reached again, private, and refused for a reason."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.clients.hosts import Hosts
from activities.errors import Refused, Unreachable
from deploy.sandbox.faults import FaultRule
from runbook.project import EnvironmentTable
from runbook.proxy_table import ProxyTable
from tests.activities.host_bench import ADDRESS, Bench, answered


async def test_the_engine_is_reached_again_after_the_connection_was_lost(bench: Bench) -> None:
    environment = bench.environment()
    first = await bench.hosts.engine(environment, ADDRESS)
    assert await first.containers() == []
    connection = await bench.hosts._ssh.connection(environment.ssh, ADDRESS)
    bench.ssh.cut()
    await connection.wait_closed()
    with pytest.raises(Unreachable, match=f"the connection to {ADDRESS} was lost"):
        await first.containers()
    again = await bench.hosts.engine(environment, ADDRESS)
    assert await again.containers() == []
    assert again is not first
    assert await bench.hosts.engine(environment, ADDRESS) is again


async def test_a_call_that_is_under_way_when_the_connection_breaks_is_unreachable(bench: Bench) -> None:
    environment = bench.environment()
    engine = await bench.hosts.engine(environment, ADDRESS)
    bench.engine_app.state.faults.add(FaultRule(match="GET /containers/json", kind="delay", seconds=5))
    asking = asyncio.create_task(engine.containers())
    async with asyncio.timeout(5):
        while "GET /containers/json" not in bench.requests():
            await asyncio.sleep(0.01)
    bench.ssh.cut()
    with pytest.raises(Unreachable, match=f"the engine of {ADDRESS} did not answer"):
        await asking
    bench.engine_app.state.faults.clear()


async def test_the_local_socket_is_private_and_goes_with_the_worker(bench: Bench) -> None:
    hosts = Hosts()
    await hosts.engine(bench.environment(), ADDRESS)
    (folder,) = [f for f in Path("/tmp").glob("runbook-*") if f == hosts._forwards._folder]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.is_socket() for path in folder.iterdir()] == [True]
    await hosts.close()
    assert not folder.exists()


async def test_a_socket_that_the_host_does_not_forward_is_refused(bench: Bench) -> None:
    environment = bench.environment()
    wrong = environment.model_copy(update={"ssh": environment.ssh.model_copy(update={"socket": "/run/other.sock"})})
    with pytest.raises(Refused, match=f"{ADDRESS} does not forward /run/other.sock to deploy"):
        await bench.hosts.engine(wrong, ADDRESS)


async def test_an_engine_that_is_not_running_is_unreachable(bench: Bench) -> None:
    (bench.folder / "docker.sock").rename(bench.folder / "away.sock")
    with pytest.raises(Unreachable, match=f"no engine answers at {ADDRESS}:/var/run/docker.sock"):
        await bench.hosts.engine(bench.environment(), ADDRESS)
    (bench.folder / "away.sock").rename(bench.folder / "docker.sock")
    assert await (await bench.hosts.engine(bench.environment(), ADDRESS)).containers() == []


class _NotInTheGroup(asyncssh.SSHServer):
    """A host whose user sees the socket and may not use it, as OpenSSH shows it."""

    def begin_auth(self, username: str) -> bool:
        return False

    def unix_connection_requested(self, dest_path: str) -> Any:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")


async def test_a_user_outside_of_the_group_docker_is_told_to_join_it(bench: Bench) -> None:
    async def shell(process: "asyncssh.SSHServerProcess[str]") -> None:
        process.exit(1 if "-w" in (process.command or "") else 0)

    server = await asyncssh.listen(
        "127.0.7.33",
        0,
        server_factory=_NotInTheGroup,
        server_host_keys=[str(bench.folder / "host_key")],
        process_factory=shell,
    )
    public = (bench.folder / "host_key.pub").read_text()
    (bench.folder / "known_hosts").write_text(f"127.0.7.33 {public}")
    ssh = bench.environment().ssh.model_copy(update={"port": server.get_port()})
    environment = EnvironmentTable.model_validate({**bench.environment().model_dump(), "ssh": ssh})
    with pytest.raises(Refused, match=r"deploy may not use the engine.*group docker on 127\.0\.7\.33"):
        await bench.hosts.engine(environment, "127.0.7.33")
    server.close()
    await server.wait_closed()


async def test_a_place_of_the_host_is_reached_through_it(bench: Bench) -> None:
    environment = bench.environment()
    image = await bench.pulled("1.0.0")
    await bench.legacy(environment, image)
    await answered(environment)
    probe = await bench.hosts.inside(environment, ADDRESS, f"localhost:{environment.port}")
    assert (await probe.look("http://shop/version")).version == "v1.0.0"
    await probe.aclose()


async def test_a_place_that_the_host_does_not_forward_is_refused(bench: Bench) -> None:
    environment = bench.environment()
    with pytest.raises(Refused, match=rf"{ADDRESS} does not forward 192\.0\.2\.7:8080 to deploy.*PermitOpen"):
        await bench.hosts.inside(environment, ADDRESS, "192.0.2.7:8080")
    proxy = ProxyTable(admin="/run/none.sock", handler="shop", network="shop", addresses=["10.0.0.2", "10.0.0.3"])
    with pytest.raises(Refused, match=f"{ADDRESS} does not forward /run/none.sock"):
        await bench.hosts.proxy(environment, proxy, ADDRESS)


async def test_where_nobody_listens_yet_is_no_refusal(bench: Bench) -> None:
    environment = bench.environment()
    probe = await bench.hosts.inside(environment, ADDRESS, f"{ADDRESS}:{environment.port}")
    with pytest.raises(Unreachable, match="no answer from http://shop/version"):
        await probe.look("http://shop/version")
    await bench.legacy(environment, await bench.pulled("1.0.0"))
    await answered(environment)
    assert (await probe.look("http://shop/version")).version == "v1.0.0"
    await probe.aclose()
