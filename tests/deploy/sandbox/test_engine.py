import socket
from collections.abc import AsyncIterator
from typing import Any

import docker.errors
import httpx
import pytest
import pytest_asyncio

from deploy.ports import free_port
from deploy.sandbox.faults import FaultRule
from tests.deploy.sandbox.engine_bench import ADDRESS, Bench, answer, bench, run, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def at(shared: Bench) -> AsyncIterator[Bench]:
    yield shared
    await shared.clean()


def published(port: int) -> dict[str, Any]:
    return {"8080/tcp": port}


async def test_the_sdk_negotiates_a_version(at: Bench) -> None:
    assert await run(at.docker.ping) is True
    assert at.docker.api.api_version == "1.41"
    assert (await run(at.docker.version))["Version"] == "20.10.24"
    assert (await run(at.docker.info))["Name"] == "bench"


async def test_a_version_newer_than_the_engine_is_refused(at: Bench) -> None:
    newer = docker.DockerClient(base_url=f"unix://{at.socket}", version="1.99")
    with pytest.raises(docker.errors.APIError, match="too new"):
        await run(newer.ping)
    newer.close()


async def test_an_image_without_a_container_is_refused_with_docker_s_status(at: Bench) -> None:
    with pytest.raises(docker.errors.ImageNotFound):
        await at.create("acme/nothing:v1", "shop")


async def test_a_container_answers_on_its_published_port_until_it_is_stopped(at: Bench) -> None:
    port = free_port(ADDRESS)
    container = await at.create(await at.pulled("1.0.0"), "shop", ports=published(port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, port))
    await run(container.start)
    assert (await answer(port, "/version"))["version"] == "v1.0.0"
    state = (await at.inspected(container))["State"]
    assert (state["Status"], state["Running"], state["Restarting"]) == ("running", True, False)
    await run(container.stop)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, port))
    state = (await at.inspected(container))["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 0, 0)


async def test_starting_and_stopping_twice_is_304(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop")
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(at.socket))) as http:
        codes = [
            (await http.post(f"http://engine/v1.41/containers/{container.id}/{verb}")).status_code
            for verb in ("stop", "start", "start", "stop", "stop")
        ]
    assert codes == [304, 204, 304, 204, 304]


async def test_a_taken_name_is_a_conflict_that_names_its_holder(at: Bench) -> None:
    reference = await at.pulled("1.0.0")
    first = await at.create(reference, "shop")
    with pytest.raises(docker.errors.APIError) as refused:
        await at.create(reference, "shop")
    assert refused.value.status_code == 409
    assert first.id in str(refused.value.explanation)


async def test_a_taken_port_leaves_the_container_created_with_the_reason(at: Bench) -> None:
    port, reference = free_port(ADDRESS), await at.pulled("1.0.0")
    first = await at.create(reference, "one", ports=published(port))
    second = await at.create(reference, "two", ports=published(port))
    await run(first.start)
    with pytest.raises(docker.errors.APIError) as refused:
        await run(second.start)
    assert refused.value.status_code == 500
    assert "driver failed programming external connectivity" in str(refused.value.explanation)
    assert "address already in use" in str(refused.value.explanation)
    state = (await at.inspected(second))["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 128)
    assert "address already in use" in state["Error"]
    await run(first.stop)
    await run(second.start)
    assert (await answer(port, "/health"))["status"] == "ok"


async def test_a_container_with_an_address_of_its_own_answers_there_and_nobody_else_gets_it(at: Bench) -> None:
    reference, address = await at.pulled("1.0.0"), "127.0.7.201"
    endpoint = await run(at.docker.api.create_endpoint_config, ipv4_address=address)
    networking = await run(at.docker.api.create_networking_config, {"shop": endpoint})
    first, second = [
        await run(at.docker.api.create_container, reference, name=name, networking_config=networking)
        for name in ("blue", "green")
    ]
    await run(at.docker.api.start, first["Id"])
    await until(lambda: _answers(address))
    with pytest.raises(docker.errors.APIError, match="Address already in use"):
        await run(at.docker.api.start, second["Id"])
    await run(at.docker.api.stop, first["Id"])
    await run(at.docker.api.start, second["Id"])
    await until(lambda: _answers(address))


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}:8080/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_container_is_renamed_and_found_by_its_new_name_only(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop")
    await run(container.rename, "shop-old")
    assert (await run(at.docker.containers.get, "shop-old")).id == container.id
    with pytest.raises(docker.errors.NotFound):
        await run(at.docker.containers.get, "shop")


@pytest.mark.parametrize(("name", "status"), [("shop", 400), ("taken", 409), ("-", 400)])
async def test_a_name_that_cannot_be_given_is_refused(at: Bench, name: str, status: int) -> None:
    reference = await at.pulled("1.0.0")
    container = await at.create(reference, "shop")
    await at.create(reference, "taken")
    with pytest.raises(docker.errors.APIError) as refused:
        await run(container.rename, name)
    assert refused.value.status_code == status


async def test_a_running_container_is_removed_only_by_force(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop")
    await run(container.start)
    with pytest.raises(docker.errors.APIError) as refused:
        await run(container.remove)
    assert refused.value.status_code == 409
    await run(container.remove, force=True)
    with pytest.raises(docker.errors.NotFound):
        await run(container.remove)


async def test_killing_what_does_not_run_is_a_conflict(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop")
    with pytest.raises(docker.errors.APIError) as refused:
        await run(container.kill)
    assert refused.value.status_code == 409
    await run(container.start)
    await run(container.kill)
    state = await until(
        lambda: [s for s in [at.docker.api.inspect_container(container.id)["State"]] if not s["Running"]]
    )
    assert (state[0]["Status"], state[0]["ExitCode"]) == ("exited", 137)


async def test_a_command_that_is_not_there_is_a_400_and_127(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop", entrypoint=["nothing-here"])
    with pytest.raises(docker.errors.APIError) as refused:
        await run(container.start)
    assert refused.value.status_code == 400
    assert (await at.inspected(container))["State"]["ExitCode"] == 127


async def test_a_container_carries_its_labels_environment_and_reference(at: Bench) -> None:
    reference = await at.pulled("1.0.0", revision="c0ffee")
    container = await at.create(reference, "shop", labels={"runbook.version": "1.0.0"}, environment={"A": "b"})
    seen = await at.inspected(container)
    assert seen["Config"]["Image"] == reference
    assert seen["Config"]["Labels"]["runbook.version"] == "1.0.0"
    assert seen["Config"]["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    assert "A=b" in seen["Config"]["Env"]
    assert seen["Image"] == (await run(at.docker.images.get, reference)).id


async def test_nothing_of_the_sandbox_s_environment_reaches_a_container(at: Bench) -> None:
    words = ["sh", "-c", "env"]
    container = await at.create(await at.pulled("1.0.0"), "shop", entrypoint=words, environment={"GIVEN": "yes"})
    await run(container.start)
    await run(container.wait)
    printed = {line.split("=")[0] for line in (await run(container.logs)).decode().splitlines()}
    assert printed == {"PATH", "HOSTNAME", "GIVEN", "HOST", "PORT", "PWD", "SANDBOX_CONTAINER"}


async def test_filters_find_by_name_label_and_status(at: Bench) -> None:
    reference = await at.pulled("1.0.0")
    shop = await at.create(reference, "shop", labels={"runbook.project": "shop"})
    await at.create(reference, "shop-old", labels={"runbook.project": "shop", "kept": ""})
    await run(shop.start)

    async def names(**filters: Any) -> list[str]:
        found = await run(at.docker.containers.list, all=True, filters=filters)
        return sorted(container.name for container in found)

    assert await names(name="shop") == ["shop", "shop-old"]
    assert await names(name="^/?shop$") == ["shop"]
    assert await names(label="runbook.project=shop") == ["shop", "shop-old"]
    assert await names(label=["runbook.project=shop", "kept"]) == ["shop-old"]
    assert await names(status="created") == ["shop-old"]
    assert [c.name for c in await run(at.docker.containers.list)] == ["shop"]
    with pytest.raises(docker.errors.APIError, match="Invalid filter"):
        await names(colour="red")


async def test_logs_come_in_frames_with_a_tail(at: Bench) -> None:
    words = ["sh", "-c", "echo one; echo two; echo three >&2; exit 7"]
    container = await at.create(await at.pulled("1.0.0"), "shop", entrypoint=words)
    await run(container.start)
    assert await run(container.wait) == {"StatusCode": 7}
    assert await run(container.logs, stderr=False) == b"one\ntwo\n"
    assert await run(container.logs, stdout=False) == b"three\n"
    assert len((await run(container.logs, tail=1)).splitlines()) == 1


async def test_a_fault_of_the_engine_hits_the_unversioned_path(at: Bench) -> None:
    at.app.state.faults.add(FaultRule(match="GET /containers/json", kind="status", status=503, times=1))
    with pytest.raises(docker.errors.APIError) as refused:
        await run(at.docker.containers.list)
    assert refused.value.status_code == 503
    assert await run(at.docker.containers.list) == []
