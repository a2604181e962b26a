"""What deploy/hosts.md has a host allow: enough for a release, and nothing else. Asked of a real sshd."""

import getpass
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from activities.clients.hosts import Hosts
from activities.clients.ssh import Ssh
from deploy.ports import free_port
from runbook.project import EnvironmentTable, SshTable
from tests.deploy.running import DEPLOY
from tests.deploy.sandbox.engine_bench import bench
from tests.projects import project

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
HOST = "127.0.0.1"

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd: install openssh-server")


@dataclass(frozen=True)
class Prepared:
    table: SshTable

    @property
    def environment(self) -> EnvironmentTable:
        return project().production.model_copy(update={"ssh": self.table})

    async def connection(self) -> asyncssh.SSHClientConnection:
        return await Ssh().connection(self.table, HOST)


def rules(user: str, engine: Path, behind: dict[str, str] | None = None) -> str:
    """The page's own words, for the one user that this test can log in as and the engine that it has."""
    block, permitted = re.findall(r"```sshd-config\n(.*?)```", (DEPLOY / "hosts.md").read_text(), re.DOTALL)
    assert "Match User deploy" in block
    if behind:
        # The second block is the line that takes the first one's place where a proxy is switched.
        block = re.sub(r"    PermitOpen .*\n", permitted, block)
        for written, real in behind.items():
            assert written in block
            block = block.replace(written, real)
    assert "/var/run/docker.sock" in block
    return str(block).replace("Match User deploy", f"Match User {user}").replace("/var/run/docker.sock", str(engine))


def options_of_the_key() -> str:
    [options] = re.findall(r'from="[^"]+",(\S+) ssh-ed25519', (DEPLOY / "hosts.md").read_text())
    return str(options)


@pytest.fixture
async def prepared(tmp_path: Path) -> AsyncIterator[Prepared]:
    user, port = getpass.getuser(), free_port()
    for name in ("host_key", "key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        (tmp_path / name).write_bytes(key.export_private_key())
        (tmp_path / name).chmod(0o600)
        (tmp_path / f"{name}.pub").write_text(key.export_public_key().decode())
    (tmp_path / "known_hosts").write_text(f"[{HOST}]:{port} {(tmp_path / 'host_key.pub').read_text()}")
    (tmp_path / "authorized_keys").write_text(f"{options_of_the_key()} {(tmp_path / 'key.pub').read_text()}")
    lines = [f"ListenAddress {HOST}:{port}", f"HostKey {tmp_path / 'host_key'}", "PidFile none", "UsePAM no"]
    lines += [f"AuthorizedKeysFile {tmp_path / 'authorized_keys'}", "StrictModes no", "Subsystem sftp internal-sftp"]
    lines += ["PermitRootLogin prohibit-password"]
    (tmp_path / "sshd_config").write_text("\n".join([*lines, rules(user, tmp_path / "engine" / "docker.sock")]))
    if user == "root":
        Path("/run/sshd").mkdir(exist_ok=True)
    with (tmp_path / "sshd.log").open("wb") as log:
        sshd = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=log)
    try:
        async with bench(tmp_path / "engine") as engine:
            until_listening(port, tmp_path / "sshd.log")
            known_hosts, key_file = str(tmp_path / "known_hosts"), f"file:{tmp_path / 'key'}"
            yield Prepared(
                SshTable(user=user, port=port, key=key_file, known_hosts=known_hosts, socket=str(engine.socket))
            )
    finally:
        sshd.terminate()
        sshd.wait(10)


def until_listening(port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


async def test_a_release_reaches_the_engine_and_the_env_file(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "production.env").write_text("COLOUR=blue\n")
    hosts = Hosts()
    try:
        engine = await hosts.engine(prepared.environment, HOST)
        assert await engine.containers() == []
        assert await hosts.read(prepared.environment, HOST, str(tmp_path / "production.env")) == b"COLOUR=blue\n"
    finally:
        await hosts.close()


async def test_no_command_runs_there(prepared: Prepared, tmp_path: Path) -> None:
    async with await prepared.connection() as connection:
        ended = await connection.run(f"touch {tmp_path / 'touched'}; id", stdin=asyncssh.DEVNULL)
        assert "uid=" not in str(ended.stdout)
        assert not (tmp_path / "touched").exists()


async def test_no_terminal_is_given(prepared: Prepared) -> None:
    async with await prepared.connection() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process(term_type="xterm")


async def test_no_file_is_changed(prepared: Prepared, tmp_path: Path) -> None:
    async with await prepared.connection() as connection, connection.start_sftp_client() as sftp:
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.open(str(tmp_path / "written"), "wb")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.remove(str(tmp_path / "sshd_config"))
    assert (tmp_path / "sshd_config").exists()


async def test_no_other_socket_is_forwarded(prepared: Prepared, tmp_path: Path) -> None:
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(tmp_path / "other.sock"))
    other.listen()
    async with await prepared.connection() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection(str(tmp_path / "other.sock"))
    other.close()


async def test_no_port_is_forwarded(prepared: Prepared) -> None:
    async with await prepared.connection() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection(HOST, prepared.table.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port(HOST, 0, HOST, prepared.table.port)


def test_where_a_proxy_is_switched_its_socket_and_both_addresses_are_allowed_too(tmp_path: Path) -> None:
    """As sshd itself reads the line."""
    text = rules("deploy", Path("/var/run/docker.sock"), {"172.30.0.2:8080": "172.30.0.2:8080"})
    (tmp_path / "sshd_config").write_text(text)
    told = subprocess.run(
        [str(SSHD), "-T", "-C", "user=deploy", "-f", str(tmp_path / "sshd_config")],
        capture_output=True,
        text=True,
        check=False,
    )
    [line] = [line for line in told.stdout.splitlines() if line.startswith("permitopen ")] or [told.stderr]
    assert set(line.split()[1:]) == {
        "[/var/run/docker.sock]:*",
        "[/run/caddy-switch/admin.sock]:*",
        "172.30.0.2:8080",
        "172.30.0.3:8080",
    }
