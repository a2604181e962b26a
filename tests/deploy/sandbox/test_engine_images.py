import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import docker.errors
import pytest
import pytest_asyncio

from deploy.sandbox.faults import FaultRule
from deploy.sandbox.images import build_image
from deploy.sandbox.registry import RegistrySettings
from tests.deploy.sandbox.engine_bench import PASSWORD, Bench, bench, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def at(shared: Bench) -> AsyncIterator[Bench]:
    yield shared
    await shared.clean()


async def pull_lines(at: Bench, tag: str, **how: object) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = await run(
        lambda: list(at.docker.api.pull(at.repository, tag=tag, stream=True, decode=True, **how))
    )
    return lines


async def test_a_pull_by_digest_leaves_a_digest_and_no_tag(at: Bench) -> None:
    image = await at.publish("1.0.0")
    pulled = await run(at.docker.images.pull, at.repository, tag=image.digest)
    assert pulled.id == image.image_id != image.digest
    assert pulled.attrs["RepoDigests"] == [f"{at.repository}@{image.digest}"]
    assert pulled.attrs["RepoTags"] == []


async def test_a_pull_by_tag_says_the_digest_and_whether_it_was_news(at: Bench) -> None:
    image = await at.publish("1.0.0")
    first, second = [[line.get("status") for line in await pull_lines(at, "v1.0.0")] for _ in range(2)]
    assert f"Digest: {image.digest}" in first
    assert first[-1] == f"Status: Downloaded newer image for {at.repository}:v1.0.0"
    assert second[-1] == f"Status: Image is up to date for {at.repository}:v1.0.0"


async def test_a_reference_with_tag_and_digest_is_pulled_by_the_digest(at: Bench) -> None:
    image = await at.publish("1.0.0")
    await at.publish("1.0.1")
    lines = await run(
        lambda: list(at.docker.api.pull(f"{at.repository}:v1.0.1@{image.digest}", stream=True, decode=True))
    )
    assert f"Digest: {image.digest}" in [line.get("status") for line in lines]
    found = await run(at.docker.images.get, f"{at.repository}:v9.9.9@{image.digest}")
    assert found.id == image.image_id


async def test_a_moved_tag_leaves_the_old_image_its_digest(at: Bench) -> None:
    old = await at.publish("1.0.0")
    await pull_lines(at, "v1.0.0")
    new = await at.publish("1.0.0", build="again")
    await pull_lines(at, "v1.0.0")
    assert (await run(at.docker.images.get, f"{at.repository}:v1.0.0")).id == new.image_id
    before = await run(at.docker.images.get, f"{at.repository}@{old.digest}")
    assert (before.id, before.tags) == (old.image_id, [])


async def test_digests_accumulate_on_one_image(at: Bench) -> None:
    one, other = build_image("1.0.0"), build_image("1.0.0", shape="oci")
    await at.publish("1.0.0")
    await at.publish("1.0.0", shape="oci")
    for image in (one, other):
        await run(at.docker.images.pull, at.repository, tag=image.digest)
    found = await run(at.docker.images.get, one.image_id)
    assert one.digest != other.digest
    assert set(found.attrs["RepoDigests"]) == {f"{at.repository}@{image.digest}" for image in (one, other)}


async def test_a_missing_tag_is_404_and_an_unreachable_registry_500(at: Bench) -> None:
    with pytest.raises(docker.errors.NotFound, match="manifest unknown"):
        await pull_lines(at, "v9.9.9")
    for elsewhere in ("127.0.0.1:1/acme/shop", "registry.example.net/acme/shop", "shop"):
        with pytest.raises(docker.errors.APIError) as refused:
            await run(at.docker.images.pull, elsewhere, tag="v1")
        assert refused.value.status_code == 500


async def test_a_pull_that_breaks_half_way_is_a_200_with_the_error_in_it_and_keeps_the_old_image(at: Bench) -> None:
    old = await at.publish("1.0.0")
    await pull_lines(at, "v1.0.0")
    await at.publish("1.0.0", build="again")
    at.registry_app.state.faults.add(FaultRule(match="GET /v2/acme/shop/blobs/*", kind="status", status=500))
    lines = await pull_lines(at, "v1.0.0")
    assert "500" in str(lines[-1]["error"])
    assert "errorDetail" in lines[-1]
    assert (await run(at.docker.images.get, f"{at.repository}:v1.0.0")).id == old.image_id


async def test_two_pulls_of_one_image_at_once_both_succeed(at: Bench) -> None:
    image = await at.publish("1.0.0")
    both = await asyncio.gather(*(run(at.docker.images.pull, at.repository, tag=image.digest) for _ in range(4)))
    assert {each.id for each in both} == {image.image_id}


async def test_an_image_that_a_container_stands_on_is_not_removed(at: Bench) -> None:
    reference = await at.pulled("1.0.0")
    container = await at.create(reference, "shop")
    with pytest.raises(docker.errors.APIError) as refused:
        await run(at.docker.images.remove, reference)
    assert refused.value.status_code == 409
    await run(container.remove)
    await run(at.docker.images.remove, reference)
    assert await run(at.docker.images.list) == []


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_a_registry_that_asks_gets_the_credentials_of_the_pull(tmp_path: Path, auth: str) -> None:
    settings = RegistrySettings(auth=auth, user="release-bot", password=PASSWORD)  # type: ignore[arg-type]  # parametrised
    async with bench(tmp_path, settings) as at:
        image = await at.publish("1.0.0", user="release-bot", password=PASSWORD)
        with pytest.raises(docker.errors.APIError):
            await pull_lines(at, "v1.0.0")
        with pytest.raises(docker.errors.APIError):
            await pull_lines(at, "v1.0.0", auth_config={"username": "release-bot", "password": "wrong"})
        right = {"username": "release-bot", "password": PASSWORD}
        lines = await pull_lines(at, "v1.0.0", auth_config=right)
        assert f"Digest: {image.digest}" in [line.get("status") for line in lines]
