"""One digest in three places, with a real registry and a real pull; only the manifest is read from a table."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from activities.artifact import ArtifactActivities
from activities.clients.registry import Registry
from activities.errors import Refused, StepError, Unreachable
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from runbook.artifact import ArtifactToVerify, CredentialsToProve
from runbook.image import Image
from runbook.project import ForgeTable, ProjectTable
from runbook.trouble import Cause
from tests.activities.host_bench import ADDRESS, Bench, host_bench, ref
from tests.activities.performing import perform

COMMIT = "c" * 40


class Manifests:
    """The digests it gives, one a reading; the last one again and again."""

    def __init__(self, *digests: str | StepError) -> None:
        self.digests = list(digests)
        self.read = 0

    async def digest(self, order: ArtifactToVerify) -> str:
        given = self.digests[min(self.read, len(self.digests) - 1)]
        self.read += 1
        if isinstance(given, StepError):
            raise given
        return given


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with local_client(timeout=5) as client:
        yield client


def order(bench: Bench, version: str = "1.0.0") -> ArtifactToVerify:
    return ArtifactToVerify(
        ref=ref(10, version),
        project=ProjectTable(owner="acme", name="shop", repository="/nowhere"),
        forge=ForgeTable(url="http://127.0.0.1:9", token="env:TOKEN"),
        artifact=bench.artifact(),
        environment=bench.environment(),
        host=ADDRESS,
        version=version,
        commit=COMMIT,
    )


async def test_three_equal_digests_verify_the_image(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0")
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    found = await perform(group.verify, order(bench))
    assert found.image == image
    assert found.created == "2026-01-01T00:00:00Z"
    assert [line for line in found.evidence if image.digest in line] == found.evidence[:4]


async def test_a_manifest_with_another_digest_is_refused_saying_all_three(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    image, other = await bench.publish("1.0.0"), "sha256:" + "0" * 64
    manifests = Manifests(other)
    group = ArtifactActivities(Registry(http), manifests, bench.hosts)
    with pytest.raises(Refused) as refused:
        await perform(group.verify, order(bench))
    assert refused.value.cause == Cause.DIGEST_MISMATCH
    said = str(refused.value)
    assert f"manifest: {other}, registry: {image.digest}, pulled: {image.digest}" in said
    assert manifests.read == 2


async def test_what_differs_only_once_is_read_again(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0")
    manifests = Manifests("sha256:" + "0" * 64, image.digest)
    found = await perform(ArtifactActivities(Registry(http), manifests, bench.hosts).verify, order(bench))
    assert (found.image, manifests.read) == (image, 2)


async def test_a_tag_that_was_pushed_again_is_refused(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0")
    again = build_image("1.0.0", build="another")
    await push_image(bench.registry, "acme/shop", again, ["v1.0.0"])
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    with pytest.raises(Refused, match=f"registry: {again.digest}"):
        await perform(group.verify, order(bench))


async def test_a_host_that_pulls_from_somewhere_else_is_noticed(bench: Bench, http: httpx.AsyncClient) -> None:
    """The registry's answer to us and what the engine got differ: a mirror, or a push between the two."""
    image, other = await bench.publish("1.0.0"), build_image("1.0.0", build="another")

    class Elsewhere:
        """A registry that still has the other one."""

        async def digest(self, artifact: object, tag: str) -> str:
            return other.digest

        async def prove(self, artifact: object, tag: str) -> str:
            return ""

    group = ArtifactActivities(Elsewhere(), Manifests(other.digest), bench.hosts)
    with pytest.raises(Refused, match=f"pulled: {image.digest}") as refused:
        await perform(group.verify, order(bench))
    assert refused.value.cause == Cause.DIGEST_MISMATCH


async def test_a_version_that_is_not_there_yet_is_unknown_not_different(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0")
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    with pytest.raises(Unreachable) as unknown:
        await perform(group.verify, order(bench, "9.9.9"))
    assert unknown.value.cause == Cause.DIGEST_UNKNOWN


async def test_a_manifest_that_does_not_know_the_version_is_handed_on(bench: Bench, http: httpx.AsyncClient) -> None:
    await bench.publish("1.0.0")
    silent = Unreachable("no entry for v1.0.0", cause=Cause.DIGEST_UNKNOWN)
    group = ArtifactActivities(Registry(http), Manifests(silent), bench.hosts)
    with pytest.raises(Unreachable, match="no entry"):
        await perform(group.verify, order(bench))


async def test_credentials_are_proved_for_the_images_repository(bench: Bench, http: httpx.AsyncClient) -> None:
    group = ArtifactActivities(Registry(http), Manifests(), bench.hosts)
    found = await perform(group.prove_credentials, CredentialsToProve(ref=ref(10), artifact=bench.artifact()))
    assert found.repository == f"{bench.registry}/acme/shop"
    assert "asks nobody" in found.summary


def test_an_image_is_only_ever_named_with_version_and_digest() -> None:
    image = Image(registry="registry.example.net", name="acme/shop", version="1.0.0", digest="sha256:" + "0" * 64)
    assert image.reference == "registry.example.net/acme/shop:v1.0.0@sha256:" + "0" * 64
    with contextlib.suppress(AttributeError):
        assert ":latest" not in image.reference
