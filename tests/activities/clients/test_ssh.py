"""Connections with real SSH: whose key is trusted, who is let in, what is kept and what is opened again."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.clients import known_hosts
from activities.clients.ssh import Ssh
from activities.errors import Refused, Unreachable
from runbook.project import SshTable
from runbook.trouble import Cause
from tests.activities.clients.ssh_keys import table, write_key
from tests.activities.host_bench import ADDRESS, ENV_FILE, Bench, write_env
from tests.signing import need_openssh


async def test_a_file_of_the_host_is_read(bench: Bench, ssh: Ssh) -> None:
    assert await ssh.read(table(bench), ADDRESS, ENV_FILE) == b"COLOUR=green\n"


async def test_a_file_that_is_not_there_is_refused_by_host_and_path(bench: Bench, ssh: Ssh) -> None:
    with pytest.raises(Refused, match=rf"{ADDRESS} has no file /etc/nothing"):
        await ssh.read(table(bench), ADDRESS, "/etc/nothing")


async def test_a_folder_is_no_file(bench: Bench, ssh: Ssh) -> None:
    with pytest.raises(Refused, match="is it a file"):
        await ssh.read(table(bench), ADDRESS, "/etc/opt")


async def test_a_file_far_too_large_is_refused(bench: Bench, ssh: Ssh) -> None:
    write_env(bench.folder, "A" * (1024 * 1024 + 1))
    with pytest.raises(Refused, match="larger than"):
        await ssh.read(table(bench), ADDRESS, ENV_FILE)


async def test_one_connection_serves_all_who_ask_at_once(bench: Bench, ssh: Ssh) -> None:
    await asyncio.gather(*(ssh.read(table(bench), ADDRESS, ENV_FILE) for _ in range(20)))
    assert bench.ssh.connections == 1


async def test_a_cipher_that_costs_little_is_taken_where_the_host_has_it(bench: Bench, ssh: Ssh) -> None:
    connection = await ssh.connection(table(bench), ADDRESS)
    assert connection.get_extra_info("send_cipher") == "aes256-gcm@openssh.com"


async def test_a_lost_connection_is_opened_again(bench: Bench, ssh: Ssh) -> None:
    first = await ssh.connection(table(bench), ADDRESS)
    bench.ssh.cut()
    await first.wait_closed()
    assert await ssh.read(table(bench), ADDRESS, ENV_FILE)
    assert await ssh.connection(table(bench), ADDRESS) is not first


async def test_an_unknown_host_key_is_refused_with_the_command_that_learns_it(bench: Bench, ssh: Ssh) -> None:
    path = bench.folder / "known_hosts"
    path.write_text("")
    with pytest.raises(Refused) as refused:
        await ssh.read(table(bench), ADDRESS, ENV_FILE)
    said = str(refused.value)
    assert f"{ADDRESS} port {bench.ssh.port} shows a host key that {path} does not have" in said
    assert f"ssh-keyscan -p {bench.ssh.port} {ADDRESS} >> {path}" in said
    assert "compare" in said


async def test_a_known_hosts_file_that_is_not_there_trusts_nobody(bench: Bench, ssh: Ssh) -> None:
    nowhere = str(bench.folder / "nowhere")
    with pytest.raises(Refused, match="ssh-keyscan"):
        await ssh.read(table(bench, known_hosts=nowhere), ADDRESS, ENV_FILE)
    assert not known_hosts.known(table(bench, known_hosts=nowhere), ADDRESS)


async def test_a_key_that_was_added_a_moment_ago_counts(bench: Bench, ssh: Ssh) -> None:
    path = bench.folder / "known_hosts"
    right = path.read_text()
    path.write_text("")
    with pytest.raises(Refused):
        await ssh.read(table(bench), ADDRESS, ENV_FILE)
    path.write_text(right)
    assert await ssh.read(table(bench), ADDRESS, ENV_FILE)


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
async def test_a_changed_host_key_is_refused_as_such(bench: Bench, ssh: Ssh, algorithm: str) -> None:
    await bench.ssh.use_key(asyncssh.generate_private_key(algorithm))
    with pytest.raises(Refused) as refused:
        await ssh.read(table(bench), ADDRESS, ENV_FILE)
    said = str(refused.value)
    assert "another host key" in said or "no key type in common" in said
    assert "ssh-keyscan" in said


def test_who_is_known_is_told_without_asking(tmp_path: Path) -> None:
    public = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    path = tmp_path / "known_hosts"
    path.write_text(f"web1 {public}\n[web2]:2222 {public}\n*.example.net {public}\n")

    def known(host: str, port: int = 22) -> bool:
        return known_hosts.known(SshTable(user="deploy", port=port, known_hosts=str(path)), host)

    assert known("web1")
    assert known("web2", 2222)
    assert known("a.example.net")
    assert not known("web2")
    assert not known("web3")
    assert not known("example.org")


def test_a_hashed_known_hosts_file_is_read_too(tmp_path: Path) -> None:
    need_openssh()
    public = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    path = tmp_path / "known_hosts"
    path.write_text(f"[web1]:2222 {public}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "web1" not in path.read_text()
    assert known_hosts.known(SshTable(user="deploy", port=2222, known_hosts=str(path)), "web1")
    assert not known_hosts.known(SshTable(user="deploy", port=2222, known_hosts=str(path)), "web2")


def test_a_broken_known_hosts_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("rubbish\n")
    with pytest.raises(Refused, match=f"known_hosts file {path}"):
        known_hosts.known(SshTable(user="deploy", known_hosts=str(path)), "web1")


async def test_a_key_that_the_host_does_not_know_is_refused(bench: Bench, ssh: Ssh, tmp_path: Path) -> None:
    stranger = write_key(tmp_path / "stranger")
    with pytest.raises(Refused, match=f"deploy@{ADDRESS}.*does not accept key {stranger}") as refused:
        await ssh.read(table(bench, key=stranger), ADDRESS, ENV_FILE)
    assert refused.value.cause == Cause.CREDENTIALS


async def test_another_user_is_refused(bench: Bench, ssh: Ssh) -> None:
    with pytest.raises(Refused, match=f"root@{ADDRESS}"):
        await ssh.read(table(bench, user="root"), ADDRESS, ENV_FILE)


async def test_a_key_that_can_not_be_used_is_refused_by_its_reference(bench: Bench, ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_text("rubbish")
    locked = tmp_path / "locked"
    key = asyncssh.generate_private_key("ssh-ed25519")
    locked.write_bytes(key.export_private_key("pkcs8-pem", passphrase="sesame"))
    for reference in (f"file:{tmp_path / 'rubbish'}", f"file:{locked}"):
        with pytest.raises(Refused, match=f"{reference} is no private key without a passphrase") as refused:
            await ssh.read(table(bench, key=reference), ADDRESS, ENV_FILE)
        assert refused.value.cause == Cause.CREDENTIALS


async def test_without_a_key_the_agents_are_used(
    bench: Bench, ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_openssh()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(tmp_path / "agent"), stdout=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(5):
            while not (tmp_path / "agent").exists():
                await asyncio.sleep(0.01)
        with pytest.raises(Refused, match="the worker's agent or own keys"):
            await ssh.read(table(bench, key=None), ADDRESS, ENV_FILE)
        async with asyncssh.connect_agent(str(tmp_path / "agent")) as client:
            await client.add_keys([str(bench.folder / "client_key")])
        assert await ssh.read(table(bench, key=None), ADDRESS, ENV_FILE)
    finally:
        agent.terminate()
        await agent.wait()


@pytest.mark.parametrize("outage", ["refuse", "hang"])
async def test_a_host_that_does_not_answer_is_unreachable_by_name(bench: Bench, outage: Any) -> None:
    ssh = Ssh(timedelta(seconds=0.3))
    await bench.ssh.down(mode=outage)
    with pytest.raises(Unreachable, match=f"deploy@{ADDRESS} port {bench.ssh.port} can't be reached"):
        await ssh.read(table(bench), ADDRESS, ENV_FILE)
    await bench.ssh.up()
    patient = Ssh()
    assert await patient.read(table(bench), ADDRESS, ENV_FILE)
    await patient.close()
    await ssh.close()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_one_host_that_hangs_does_not_hold_up_another(bench: Bench) -> None:
    silent = await asyncio.start_server(_say_nothing, "127.0.7.32", bench.ssh.port)
    ssh = Ssh(timedelta(seconds=0.5))
    waiting = asyncio.create_task(ssh.read(table(bench), "127.0.7.32", ENV_FILE))
    await asyncio.sleep(0)
    assert await ssh.read(table(bench), ADDRESS, ENV_FILE)
    assert not waiting.done()
    with pytest.raises(Unreachable, match=r"127\.0\.7\.32"):
        await waiting
    silent.close()
    await ssh.close()
