import asyncio
import shlex
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import docker
import docker.errors
import httpx
import pytest
import pytest_asyncio

from deploy.sandbox.sandbox import Sandbox, SandboxTaken
from deploy.sandbox.sandbox_facts import HostFacts, SandboxFacts
from deploy.sandbox.settings import SandboxSettings
from runbook.project import Project
from tests.deploy.sandbox.engine_bench import run

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    root = tmp_path_factory.mktemp("sandbox")
    async with Sandbox(SandboxSettings(root=root, staging=1, production=2, pipeline_seconds=0)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def admin(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.facts.admin, trust_env=False, timeout=10) as client:
        yield client


def ssh(facts: SandboxFacts, host: HostFacts) -> Any:
    return asyncssh.connect(
        host.address,
        host.ssh_port,
        username=facts.ssh_user,
        client_keys=[str(facts.ssh_key)],
        known_hosts=str(facts.known_hosts),
        config=[],
        agent_path=None,
        connect_timeout=5,
    )


async def state_of(admin: httpx.AsyncClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await admin.get("/state")).json()["hosts"][name]
    return found


async def test_every_host_runs_the_baseline_and_says_so(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    states = (await admin.get("/state")).json()["hosts"]
    assert set(states) == {"staging-1", "production-1", "production-2"}
    for name, state in states.items():
        (container,) = state["containers"]
        assert container["status"] == "running"
        assert container["name"] == ("shop" if name.startswith("production") else "shop-staging")
        assert container["image"].endswith("/acme/shop:v1.0.0")
        assert len(container["digests"]) == 1
        assert state["version"] == {"status": 200, "body": {"version": "v1.0.0"}}
        assert state["health"]["body"]["status"] == "ok"


async def test_the_project_s_file_is_valid_and_its_secrets_are_there(sandbox: Sandbox) -> None:
    facts = sandbox.facts
    project = Project.model_validate(tomllib.loads((facts.projects / "shop.toml").read_text()))
    assert project.production.hosts == [host.address for host in facts.having("production")]
    variables = dict(shlex.split(line)[0].split("=", 1) for line in facts.worker_env.read_text().splitlines())
    for reference in project.secrets():
        kind, _, name = reference.partition(":")
        assert variables.get(name) if kind == "env" else Path(name).read_text()
    assert (facts.worker_env.stat().st_mode & 0o777, facts.ssh_key.stat().st_mode & 0o777) == (0o600, 0o600)


async def test_the_facts_are_readable_and_hold_no_secret(sandbox: Sandbox) -> None:
    assert SandboxFacts.read(sandbox.layout.root) == sandbox.facts
    variables = [line.split("=", 1) for line in sandbox.facts.worker_env.read_text().splitlines()]
    written = sandbox.layout.facts.read_text() + (sandbox.facts.projects / "shop.toml").read_text()
    for name, value in variables:
        if name.endswith(("TOKEN", "PASSWORD")):
            assert value not in written


async def test_a_host_s_engine_is_reached_through_ssh(sandbox: Sandbox, tmp_path: Path) -> None:
    async with ssh(sandbox.facts, sandbox.facts.host("production-1")) as connection:
        await connection.forward_local_path(str(tmp_path / "near.sock"), "/var/run/docker.sock")
        client = await run(docker.DockerClient, base_url=f"unix://{tmp_path / 'near.sock'}", version="auto")
        (container,) = await run(client.containers.list)
        assert container.name == "shop"
        client.close()


async def test_an_edited_env_file_is_what_the_host_shows(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/env/production-2", json={"lines": {"COLOUR": "green", "SHOP_ENVIRONMENT": None}})
    assert answer.json() == {"COLOUR": "green"}
    async with (
        ssh(sandbox.facts, sandbox.facts.host("production-2")) as connection,
        connection.start_sftp_client() as files,
        files.open("/etc/opt/shop/production.env") as file,
    ):
        assert await file.read() == "COLOUR=green\n"


async def test_a_published_version_is_on_main_and_its_tag_is_built_as_asked(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    answer = await admin.post("/versions", json={"version": "1.1.0", "kind": "unhealthy"})
    assert answer.status_code == 201
    repository = sandbox.forge.state.forge.repositories["acme/shop"]
    commit = await repository.commit_of("refs/heads/main")
    assert answer.json() == {"version": "1.1.0", "commit": commit, "kind": "unhealthy"}
    assert b'"version": "1.1.0"' in await repository.read(commit, "package.json")
    assert sandbox.forge.state.forge.pipeline.settings.kinds["1.1.0"] == "unhealthy"
    assert (await repository.ref("refs/tags/v1.1.0")) is None


async def test_a_host_is_cut_taken_down_and_brought_back_through_the_door(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    host = sandbox.facts.host("production-1")
    async with ssh(sandbox.facts, host) as connection:
        assert (await admin.post("/hosts/production-1/cut")).json() == {"cut": 1}
        await asyncio.wait_for(connection.wait_closed(), 5)
    await admin.post("/hosts/production-1/down", json={"services": True})
    with pytest.raises(ConnectionRefusedError):
        await ssh(sandbox.facts, host)
    state = await state_of(admin, "production-1")
    assert (state["up"], state["health"]["status"]) == (False, 0)
    assert state["containers"][0]["status"] == "running"
    await admin.post("/hosts/production-1/up")
    assert (await state_of(admin, "production-1"))["health"]["status"] == 200
    async with ssh(sandbox.facts, host):
        pass


async def test_another_host_key_is_not_trusted_until_its_own_is_back(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    await admin.post("/hosts/staging-1/host-key")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await ssh(sandbox.facts, sandbox.facts.host("staging-1"))
    await admin.post("/hosts/staging-1/host-key", json={"restore": True})
    async with ssh(sandbox.facts, sandbox.facts.host("staging-1")):
        pass


async def test_a_fault_of_a_host_s_engine_is_switched_through_the_door(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    rule = {"match": "POST /images/create", "kind": "status", "status": 500}
    (kept,) = (await admin.post("/hosts/staging-1/faults", json=rule)).json()
    assert kept["match"] == "POST /images/create"
    (await admin.post("/hosts/staging-1/faults", json={**rule, "match": "GET /containers/*"})).raise_for_status()
    socket = sandbox.facts.host("staging-1").engine_socket
    client = await run(docker.DockerClient, base_url=f"unix://{socket}", version="auto")
    with pytest.raises(docker.errors.APIError, match="a fault of the sandbox"):
        await run(client.containers.list)
    client.close()
    assert (await state_of(admin, "staging-1"))["containers"][0]["running"] is True
    assert (await admin.delete("/hosts/staging-1/faults")).json() == []


async def test_what_the_door_does_not_know_is_refused(admin: httpx.AsyncClient) -> None:
    assert (await admin.post("/hosts/production-9/up")).status_code == 404
    malformed = await admin.post("/hosts/production-1/down", json={"secnods": 3})
    assert (malformed.status_code, malformed.json()["errors"][0]["loc"]) == (422, ["secnods"])


async def test_notifications_are_kept_to_be_read(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await admin.post("/on-call", json={"title": "window", "message": "shop 1.1.0"})
    assert (await admin.get("/on-call")).json()[-1]["title"] == "window"
    assert sandbox.facts.on_call == f"{sandbox.facts.admin.replace('http', 'json')}/on-call"


async def test_one_root_has_one_sandbox(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxTaken, match="up already"):
        await Sandbox(sandbox.settings).__aenter__()
    assert SandboxFacts.read(sandbox.layout.root) == sandbox.facts
