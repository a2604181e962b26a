"""The connection: what it resolves to, what it refuses, how long it tries."""

import asyncio
import getpass
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.ports import free_port
from process.connection import Target, Unconnected, connect
from process.settings import BadSettings
from tests.servers import TemporalServer


def faults(environment: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as bad:
        Target.read(environment)
    return bad.value.faults


def test_without_settings_it_is_the_local_server() -> None:
    assert str(Target.read({})) == "localhost:7233 (namespace default, no TLS)"


def test_the_file_gives_and_the_environment_overrides(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.prod]\naddress = "temporal.example.net:7233"\nnamespace = "a"\n[profile.prod.tls]\n')
    environment = {"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "prod", "TEMPORAL_NAMESPACE": "b"}
    target = Target.read(environment)
    assert (target.address, target.namespace) == ("temporal.example.net:7233", "b")


def test_a_key_turns_tls_on_and_is_never_printed() -> None:
    target = Target.read({"TEMPORAL_API_KEY": "opensesame", "TEMPORAL_GRPC_META_X_AUTH": "alsosecret"})
    assert str(target).endswith("TLS)")
    assert "opensesame" not in repr(target)
    assert {secret.get_secret_value() for secret in target.secrets().values()} == {"opensesame", "alsosecret"}


@pytest.mark.parametrize("value", ["maybe", "", "yes please"])
def test_a_tls_switch_that_is_none_is_refused(value: str) -> None:
    assert faults({"TEMPORAL_TLS": value})[0].startswith("TEMPORAL_TLS:")


@pytest.mark.parametrize("address", ["http://localhost:7233", "localhost", "user@localhost:7233"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert faults({"TEMPORAL_ADDRESS": address})[0].startswith("TEMPORAL_ADDRESS:")


def test_a_file_that_is_not_there_is_not_silently_none() -> None:
    assert faults({"TEMPORAL_CONFIG_FILE": "/nowhere/temporal.toml"}) == [
        "TEMPORAL_CONFIG_FILE: there is no file /nowhere/temporal.toml"
    ]


def test_an_unknown_key_of_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\nadress = "temporal.example.net:7233"\n')
    assert "unknown field `adress`" in faults({"TEMPORAL_CONFIG_FILE": str(file)})[0]


def test_a_broken_file_is_named_without_the_line_that_holds_the_key(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\napi_key = "opensesame\n')
    (fault,) = faults({"TEMPORAL_CONFIG_FILE": str(file)})
    assert "line 2" in fault
    assert "opensesame" not in fault


def test_an_unknown_profile_is_named() -> None:
    assert "Profile 'prod' not found" in faults({"TEMPORAL_PROFILE": "prod"})[0]


async def test_nobody_at_the_address_is_said_in_one_line_after_the_patience() -> None:
    target = Target.read({"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"})
    with pytest.raises(Unconnected, match=r"does not answer at 127.* Connection refused; start it or set") as nobody:
        await connect(target, program="test", patience=timedelta(seconds=0.5))
    assert "\n" not in str(nobody.value)


async def test_a_port_that_takes_the_connection_and_says_nothing_is_given_up_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target.read({"TEMPORAL_ADDRESS": f"127.0.0.1:{silent.getsockname()[1]}"})
        with pytest.raises(Unconnected, match="no answer in time"):
            await connect(target, program="test", patience=timedelta(seconds=0.5))


async def test_the_worker_waits_for_a_server_that_comes_later(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path)
    connecting = asyncio.create_task(
        connect(Target.read({"TEMPORAL_ADDRESS": server.address}), program="test", patience=None)
    )
    await asyncio.sleep(0.3)
    assert not connecting.done()
    await asyncio.to_thread(server.start)
    try:
        client = await asyncio.wait_for(connecting, 20)
        assert client.identity.startswith("test@")
        assert client.identity.endswith(f"/{getpass.getuser()}")
    finally:
        server.kill()
