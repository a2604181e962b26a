"""One host's engine through the SDK and real SSH: what its answers mean, and what is never sent to it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.clients.engine import Engine
from activities.clients.engine_container import Container, ContainerToCreate
from activities.clients.engine_errors import Moved, NotStarted, pull_error
from activities.clients.hosts import Hosts
from activities.errors import Refused, Unreachable
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings
from runbook.artifact_table import CredentialsTable
from runbook.trouble import Cause
from tests.activities.host_bench import ADDRESS, Bench, a_free_port, host_bench

PASSWORD = "sesame"
SECOND = timedelta(seconds=1)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def engine(bench: Bench) -> Engine:
    return await bench.hosts.engine(bench.environment(), ADDRESS)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncGenerator[Bench]:
    """A host beside a registry that asks for a login."""
    async with host_bench(tmp_path, RegistrySettings(auth="basic", password=PASSWORD)) as made:
        yield made


async def pushed(bench: Bench) -> str:
    """In the registry that asks; its digest."""
    image = build_image("1.0.0")
    return await push_image(bench.registry, "acme/shop", image, ["v1.0.0"], user="release-bot", password=PASSWORD)


def login(folder: Path, password: str = PASSWORD) -> CredentialsTable:
    (folder / "password").write_text(password)
    return CredentialsTable(user="release-bot", password=f"file:{folder / 'password'}")


async def a_container(bench: Bench, engine: Engine, name: str = "shop", **changes: Any) -> str:
    image = await bench.pulled("1.0.0")
    wanted: dict[str, Any] = {"name": name, "image": image.reference, "labels": {}, **changes}
    return await engine.create(ContainerToCreate(**wanted))


async def test_what_is_created_is_listed_and_inspected(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine, labels={"runbook.project": "shop"}, environment=["COLOUR=green"])
    (listed,) = await engine.containers()
    assert (listed.id, listed.name, listed.state, listed.running) == (identity, "shop", "created", False)
    assert listed.labels["runbook.project"] == "shop"
    await engine.start(identity)
    details = await engine.inspect("shop")
    assert (details.id, details.steady, details.restarts) == (identity, True, 0)
    assert "COLOUR=green" in details.environment
    assert "green" not in repr(details)


def test_a_link_to_a_container_is_not_its_name() -> None:
    row = {
        "Id": "1",
        "Names": ["/till/shop", "/shop"],
        "ImageID": "2",
        "Image": "i",
        "State": "running",
        "Labels": None,
    }
    assert Container.model_validate(row).name == "shop"
    assert Container.model_validate({**row, "Names": None}).name == ""


async def test_a_pull_by_digest_is_there_by_digest(bench: Bench, engine: Engine) -> None:
    image = await bench.publish("1.0.0")
    assert await engine.image(image.pinned) is None
    await engine.pull(image.repository, image.digest, None)
    found = await engine.image(image.pinned)
    assert found is not None
    assert image.pinned in found.digests
    assert found.id != image.digest
    assert [listed.id for listed in await engine.images()] == [found.id]


async def test_a_pull_that_breaks_half_way_fails_though_the_engine_said_200(bench: Bench, engine: Engine) -> None:
    first = await bench.publish("1.0.0")
    await engine.pull(first.repository, "v1.0.0", None)
    again = build_image("1.0.0", build="another")
    await push_image(bench.registry, "acme/shop", again, ["v1.0.0"])
    bench.registry_app.state.faults.add(FaultRule(match="GET /v2/*/blobs/*", kind="drop_before"))
    with pytest.raises(Unreachable, match=f"{ADDRESS} could not pull"):
        await engine.pull(first.repository, "v1.0.0", None)
    stale = await engine.image(f"{first.repository}:v1.0.0")
    assert stale is not None
    assert f"{first.repository}@{again.digest}" not in stale.digests


async def test_a_digest_that_the_registry_does_not_have_is_unknown(bench: Bench, engine: Engine) -> None:
    image = await bench.publish("1.0.0")
    with pytest.raises(Unreachable, match="the registry has none") as unknown:
        await engine.pull(image.repository, "sha256:" + "0" * 64, None)
    assert unknown.value.cause == Cause.DIGEST_UNKNOWN


async def test_a_pull_sends_the_credentials_of_the_project(guarded: Bench, tmp_path: Path) -> None:
    engine, digest = guarded.engine, await pushed(guarded)
    await engine.pull(f"{guarded.registry}/acme/shop", digest, login(tmp_path))
    assert await engine.image(f"{guarded.registry}/acme/shop@{digest}")


async def test_a_pull_with_wrong_credentials_is_refused_without_saying_them(guarded: Bench, tmp_path: Path) -> None:
    engine, digest = guarded.engine, await pushed(guarded)
    with pytest.raises(Refused, match=f"{ADDRESS} may not pull") as refused:
        await engine.pull(f"{guarded.registry}/acme/shop", digest, login(tmp_path, "hunter2"))
    assert refused.value.cause == Cause.CREDENTIALS
    assert "hunter2" not in str(refused.value)


async def test_the_workers_own_docker_login_and_proxies_are_not_used(
    guarded: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"auths": {guarded.registry: {"username": "release-bot", "password": PASSWORD}}}
    proxies = {"proxies": {"default": {"httpProxy": "http://proxy.example.net"}}}
    (tmp_path / "config.json").write_text(json.dumps({**auth, **proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    hosts, digest = Hosts(), await pushed(guarded)
    engine = await hosts.engine(guarded.environment(), ADDRESS)
    with pytest.raises(Refused) as refused:
        await engine.pull(f"{guarded.registry}/acme/shop", digest, None)
    assert refused.value.cause == Cause.CREDENTIALS
    await engine.pull(f"{guarded.registry}/acme/shop", digest, login(tmp_path))
    pinned = f"{guarded.registry}/acme/shop@{digest}"
    identity = await engine.create(ContainerToCreate(name="shop", image=pinned, labels={}))
    assert not any("proxy" in line for line in (await engine.inspect(identity)).environment)
    await hosts.close()


@pytest.mark.parametrize(
    ("status", "said", "kind", "cause"),
    [
        (500, "Get https://r/v2/: no basic auth credentials", Refused, Cause.CREDENTIALS),
        (500, "unauthorized: authentication required", Refused, Cause.CREDENTIALS),
        (
            404,
            "pull access denied for r/x, denied: requested access to the resource is denied",
            Refused,
            Cause.CREDENTIALS,
        ),
        (404, "manifest for r/x:v9 not found: manifest unknown", Unreachable, Cause.DIGEST_UNKNOWN),
        (500, "dial tcp 10.0.0.1:5000: connect: connection refused", Unreachable, Cause.UNREACHABLE),
        (200, "unknown blob", Unreachable, Cause.UNREACHABLE),
    ],
)
def test_what_engines_say_of_a_failed_pull(status: int, said: str, kind: type, cause: Cause) -> None:
    error = pull_error("web1", "r/x:v9", status, said)
    assert (type(error), error.cause) == (kind, cause)
    assert "web1" in str(error)


async def test_a_taken_name_and_a_container_that_is_gone_are_looked_at_again(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine)
    with pytest.raises(Moved, match=f"{ADDRESS} has changed meanwhile.*already in use"):
        await a_container(bench, engine)
    other = await a_container(bench, engine, "till")
    with pytest.raises(Moved):
        await engine.rename(other, "shop")
    await engine.rename(identity, "shop")
    await engine.remove(identity)
    for call in (
        engine.inspect(identity),
        engine.rename(identity, "x1"),
        engine.start(identity),
        engine.stop(identity, SECOND),
        engine.set_restart(identity, "no"),
        engine.remove(identity),
        engine.logs(identity, 5, str),
    ):
        with pytest.raises(Moved, match="No such container"):
            await call


async def test_what_runs_is_never_removed(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine)
    await engine.start(identity)
    with pytest.raises(Moved, match="cannot remove a running container"):
        await engine.remove(identity)
    assert (await engine.inspect(identity)).running


async def test_starting_what_runs_and_stopping_what_does_not_change_nothing(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine)
    await engine.stop(identity, SECOND)
    await engine.start(identity)
    started = (await engine.inspect(identity)).started_at
    await engine.start(identity)
    assert (await engine.inspect(identity)).started_at == started
    await engine.stop(identity, SECOND)
    await engine.stop(identity, SECOND)
    assert (await engine.inspect(identity)).state == "exited"


async def test_a_command_that_is_not_there_can_not_be_started_however_often(bench: Bench, engine: Engine) -> None:
    image = await bench.pulled("1.0.0")
    api: Any = engine._api
    made = await asyncio.to_thread(
        api.create_container, image.reference, name="broken", entrypoint=["/no/such/program"]
    )
    with pytest.raises(NotStarted, match=f"{ADDRESS}: container broken can't be started") as ended:
        await engine.start("broken")
    assert not ended.value.retryable
    assert ended.value.cause == Cause.CONTAINER_EXITED
    assert (await engine.inspect(made["Id"])).state == "created"


async def test_a_port_that_is_taken_may_be_free_later(bench: Bench, engine: Engine) -> None:
    port = a_free_port()
    first = await a_container(bench, engine, "one", port=port, publish_on=ADDRESS)
    second = await a_container(bench, engine, "two", port=port, publish_on=ADDRESS)
    await engine.start(first)
    with pytest.raises(NotStarted) as taken:
        await engine.start(second)
    assert taken.value.retryable
    await engine.stop(first, SECOND)
    await engine.start(second)


async def test_the_tail_of_a_log_is_cut_and_printable(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine)
    await engine.start(identity)
    async with asyncio.timeout(5):
        while not (lines := await engine.logs(identity, 5, str)):
            await asyncio.sleep(0.02)
    assert lines[-1].startswith("listening on port")
    assert len(lines) <= 5
    # Masked first: what is cut off, or has lost a tab, would not be known any more.
    assert await engine.logs(identity, 1, lambda line: "\t" + line * 100) == [(" " + lines[-1] * 100)[:300]]


async def test_an_engine_that_stumbles_is_asked_again(bench: Bench, engine: Engine) -> None:
    bench.engine_app.state.faults.add(FaultRule(match="GET /containers/json", kind="status", status=500, times=1))
    with pytest.raises(Unreachable, match=f"the engine of {ADDRESS} refused `docker ps --all` with 500"):
        await engine.containers()
    bench.engine_app.state.faults.add(FaultRule(match="GET /containers/json", kind="drop_before", times=1))
    with pytest.raises(Unreachable, match=f"the engine of {ADDRESS} did not answer to `docker ps --all`"):
        await engine.containers()
    assert await engine.containers() == []


async def test_a_demand_that_the_engine_can_not_understand_is_refused(bench: Bench, engine: Engine) -> None:
    identity = await a_container(bench, engine)
    with pytest.raises(Refused, match="refused `docker rename"):
        await engine.rename(identity, "no spaces")


def test_the_environment_is_not_in_what_is_shown_of_a_container_to_create() -> None:
    wanted = ContainerToCreate(name="shop", image="i", labels={}, environment=["PASSWORD=hunter2"])
    assert "hunter2" not in repr(wanted)
