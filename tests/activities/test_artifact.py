"""One digest by version and by commit, with a real registry and a real pull; only the manifest is read from a table."""

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

COMMIT, ANOTHER = "c" * 40, "d" * 40
ZEROS = "sha256:" + "0" * 64


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


class Scripted:
    """A registry with this to say of the commit's tag, one a look, the last one again and again; `digest` is the version's."""

    def __init__(self, digest: str, *of_commit: str | StepError) -> None:
        self._digest = digest
        self._of_commit = list(of_commit)

    async def digest(self, artifact: object, tag: str) -> str:
        if tag != COMMIT:
            return self._digest
        given = self._of_commit.pop(0) if len(self._of_commit) > 1 else self._of_commit[0]
        if isinstance(given, StepError):
            raise given
        return given

    async def prove(self, artifact: object, tag: str) -> str:
        return ""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with local_client(timeout=5) as client:
        yield client


def order(bench: Bench, version: str = "1.0.0", commit_tag: str = COMMIT) -> ArtifactToVerify:
    return ArtifactToVerify(
        ref=ref(10, version),
        project=ProjectTable(owner="acme", name="shop", repository="/nowhere"),
        forge=ForgeTable(url="http://127.0.0.1:9", token="env:TOKEN"),
        artifact=bench.artifact(),
        environment=bench.environment(),
        host=ADDRESS,
        version=version,
        commit=COMMIT,
        commit_tag=commit_tag,
    )


async def test_four_equal_digests_verify_the_image(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0", revision=COMMIT)
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    found = await perform(group.verify, order(bench))
    assert found.image == image
    assert found.created == "2026-01-01T00:00:00Z"
    assert [line for line in found.evidence if image.digest in line] == found.evidence[:5]
    assert f"commit tag {COMMIT}: {image.digest}" in found.evidence
    assert found.summary == f"v1.0.0 is {image.digest} by manifest, by registry, by commit and on {ADDRESS}"


async def test_a_manifest_with_another_digest_is_refused_saying_all_of_them(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    image = await bench.publish("1.0.0", revision=COMMIT)
    manifests = Manifests(ZEROS)
    group = ArtifactActivities(Registry(http), manifests, bench.hosts)
    with pytest.raises(Refused) as refused:
        await perform(group.verify, order(bench))
    assert refused.value.cause == Cause.DIGEST_MISMATCH
    said = str(refused.value)
    assert (
        f"manifest: {ZEROS}, registry: {image.digest}, pulled: {image.digest}, commit tag {COMMIT}: {image.digest}"
        in said
    )
    assert "find out who pushed the tag again" in said
    assert manifests.read == 2


async def test_what_differs_only_once_is_read_again(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0", revision=COMMIT)
    manifests = Manifests(ZEROS, image.digest)
    found = await perform(ArtifactActivities(Registry(http), manifests, bench.hosts).verify, order(bench))
    assert (found.image, manifests.read) == (image, 2)


async def test_a_tag_that_was_pushed_again_is_refused(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0", revision=COMMIT)
    again = build_image("1.0.0", build="another")
    await push_image(bench.registry, "acme/shop", again, ["v1.0.0"])
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    with pytest.raises(Refused, match=f"registry: {again.digest}"):
        await perform(group.verify, order(bench))


async def test_a_host_that_pulls_from_somewhere_else_is_noticed(bench: Bench, http: httpx.AsyncClient) -> None:
    """The registry's answer to us and what the engine got differ: a mirror, or a push between the two."""
    image, other = await bench.publish("1.0.0", revision=COMMIT), build_image("1.0.0", build="another")
    still_the_other = Scripted(other.digest, other.digest)
    group = ArtifactActivities(still_the_other, Manifests(other.digest), bench.hosts)
    with pytest.raises(Refused, match=f"pulled: {image.digest}") as refused:
        await perform(group.verify, order(bench))
    assert refused.value.cause == Cause.DIGEST_MISMATCH


async def test_an_image_that_was_built_from_another_commit_is_refused(bench: Bench, http: httpx.AsyncClient) -> None:
    """A pipeline that builds the head of the branch: the version's image is one, and not the release's."""
    of_commit = await bench.publish("0.9.0", revision=COMMIT)
    image = await bench.publish("1.0.0", revision=ANOTHER)
    manifests = Manifests(image.digest)
    with pytest.raises(Refused) as refused:
        await perform(ArtifactActivities(Registry(http), manifests, bench.hosts).verify, order(bench))
    assert (refused.value.cause, manifests.read) == (Cause.DIGEST_MISMATCH, 2)
    said = str(refused.value)
    assert f"registry: {image.digest}, pulled: {image.digest}, commit tag {COMMIT}: {of_commit.digest}" in said
    assert "v1.0.0 was not built from that commit" in said
    assert "have the pipeline push both from one build of the commit" in said
    assert f"commit tag {COMMIT}: {of_commit.digest}" in refused.value.evidence


async def test_a_commits_tag_that_is_not_there_is_unknown_and_how_to_go_on_is_said(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    image = await bench.publish("1.0.0")
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    with pytest.raises(Unreachable) as unknown:
        await perform(group.verify, order(bench))
    assert unknown.value.cause == Cause.DIGEST_UNKNOWN
    said = str(unknown.value)
    assert f"registry {bench.registry} has no acme/shop:{COMMIT}, the tag of the release's commit" in said
    assert 'have the pipeline push it beside v1.0.0, or set artifact.commit_tag = ""' in said
    assert "MANIFEST_UNKNOWN" in unknown.value.evidence[0]


async def test_a_commits_tag_that_is_pushed_between_two_looks_is_seen(bench: Bench) -> None:
    image = await bench.publish("1.0.0")
    late = Scripted(image.digest, ZEROS, image.digest)
    group = ArtifactActivities(late, Manifests(image.digest), bench.hosts)
    assert (await perform(group.verify, order(bench))).image == image


async def test_a_registry_that_answers_for_the_version_only_is_unwell(bench: Bench) -> None:
    image = await bench.publish("1.0.0")
    unwell = Scripted(image.digest, Unreachable("registry answered 500; tried again later"))
    group = ArtifactActivities(unwell, Manifests(image.digest), bench.hosts)
    with pytest.raises(Unreachable, match=r"^registry answered 500; tried again later$") as error:
        await perform(group.verify, order(bench))
    assert error.value.cause == Cause.UNREACHABLE


async def test_where_no_commits_tag_is_pushed_none_is_looked_at_and_that_is_kept(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    image = await bench.publish("1.0.0")
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    found = await perform(group.verify, order(bench, commit_tag=""))
    assert found.image == image
    assert found.summary == f"v1.0.0 is {image.digest} by manifest, by registry and on {ADDRESS}"
    assert "commit tag: not looked at" in found.evidence


@pytest.mark.parametrize("pattern", ["sha-{commit}", "{commit:.7}"])
async def test_a_commits_tag_has_the_form_that_the_pipeline_gives_it(
    bench: Bench, http: httpx.AsyncClient, pattern: str
) -> None:
    tag = bench.artifact(commit_tag=pattern).tag_of_commit(COMMIT)
    image = await bench.publish("1.0.0", revision=tag)
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    found = await perform(group.verify, order(bench, commit_tag=tag))
    assert f"commit tag {tag}: {image.digest}" in found.evidence


async def test_a_version_that_is_not_there_yet_is_unknown_not_different(bench: Bench, http: httpx.AsyncClient) -> None:
    image = await bench.publish("1.0.0", revision=COMMIT)
    group = ArtifactActivities(Registry(http), Manifests(image.digest), bench.hosts)
    with pytest.raises(Unreachable) as unknown:
        await perform(group.verify, order(bench, "9.9.9"))
    assert unknown.value.cause == Cause.DIGEST_UNKNOWN


async def test_a_manifest_that_does_not_know_the_version_is_handed_on(bench: Bench, http: httpx.AsyncClient) -> None:
    await bench.publish("1.0.0", revision=COMMIT)
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
