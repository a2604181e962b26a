"""The image's digest by version and by commit, as Debian's registry has it and a real engine pulled it from there."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from activities.artifact import ArtifactActivities
from activities.clients.registry import Registry as RegistryClient
from activities.errors import Refused, Unreachable
from deploy.sandbox.images import build_image
from runbook.artifact import ArtifactToVerify, CredentialsToProve, VerifiedArtifact
from runbook.artifact_table import ArtifactTable
from runbook.image import Image
from runbook.project import ForgeTable, ProjectTable
from runbook.trouble import Cause
from tests.activities.performing import perform
from tests.hosts import registries
from tests.hosts.fleet import Fleet
from tests.hosts.host import Host
from tests.hosts.images import for_another_machine, push_list
from tests.hosts.registries import Registry
from tests.hosts.shop import NAME, Shop, ref

COMMIT, ANOTHER = "c" * 40, "d" * 40

pytestmark = pytest.mark.hosts


class Manifest:
    """What the pipeline recorded."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    async def digest(self, order: ArtifactToVerify) -> str:
        return self._digest


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def verify(
    shop: Shop, host: Host, http: httpx.AsyncClient, recorded: Image, artifact: ArtifactTable | None = None
) -> VerifiedArtifact:
    artifact = artifact or shop.artifact()
    order = ArtifactToVerify(
        ref=ref(1, recorded.version),
        project=ProjectTable(owner="acme", name="shop", repository="https://git.example.net/acme/shop.git"),
        forge=ForgeTable(url="https://git.example.net", token="env:FORGE_TOKEN"),
        artifact=artifact,
        environment=shop.environment(host),
        host=host.address,
        version=recorded.version,
        commit=COMMIT,
        commit_tag=artifact.tag_of_commit(COMMIT),
    )
    activities = ArtifactActivities(RegistryClient(http), Manifest(recorded.digest), shop.hosts)
    return await perform(activities.verify, order)


async def prove(shop: Shop, http: httpx.AsyncClient, artifact: ArtifactTable) -> str:
    activities = ArtifactActivities(RegistryClient(http), Manifest(""), shop.hosts)
    proven = await perform(activities.prove_credentials, CredentialsToProve(ref=ref(1, "1.0.0"), artifact=artifact))
    return proven.summary


async def test_one_digest_everywhere_is_the_artifact(shop: Shop, host: Host, http: httpx.AsyncClient) -> None:
    image = await shop.publish("2.0.0", revision=COMMIT)
    found = await verify(shop, host, http, image)
    assert found.image == image
    assert f"commit tag {COMMIT}: {image.digest}" in found.evidence


@pytest.mark.parametrize("oci", [False, True], ids=["manifest list", "OCI index"])
async def test_the_digest_of_an_image_for_several_platforms_is_its_lists(
    shop: Shop, host: Host, http: httpx.AsyncClient, *, oci: bool
) -> None:
    version = f"2.1.{int(oci)}"
    own = build_image(version, runtime="busybox", shape="oci" if oci else "docker")
    images = {"amd64": own, "arm64": for_another_machine()}
    for tag in (f"v{version}", COMMIT):
        digest = await push_list(shop.registry.address, NAME, tag, images, oci=oci)
    image = shop.image(version, digest)
    assert (await verify(shop, host, http, image)).image == image


async def test_a_tag_that_was_pushed_again_is_refused(shop: Shop, host: Host, http: httpx.AsyncClient) -> None:
    first = await shop.publish("2.2.0", build="first", revision=COMMIT)
    await verify(shop, host, http, first)
    second = await shop.publish("2.2.0", build="second", revision=COMMIT)
    with pytest.raises(Refused, match="promoted") as caught:
        await verify(shop, host, http, first)
    assert caught.value.cause is Cause.DIGEST_MISMATCH
    assert {first.digest, second.digest} <= set(" ".join(caught.value.evidence).split())


async def test_the_image_of_another_commit_is_refused(shop: Shop, host: Host, http: httpx.AsyncClient) -> None:
    of_commit = await shop.publish("2.3.0", revision=COMMIT)
    image = await shop.publish("2.3.0", revision=ANOTHER)
    with pytest.raises(Refused, match="was not built from that commit") as caught:
        await verify(shop, host, http, image)
    assert caught.value.cause is Cause.DIGEST_MISMATCH
    assert f"commit tag {COMMIT}: {of_commit.digest}" in caught.value.evidence


async def test_a_commit_that_the_registry_has_no_tag_of_is_unknown(
    shop: Shop, host: Host, http: httpx.AsyncClient
) -> None:
    image = await shop.publish("2.4.0")
    artifact = shop.artifact(commit_tag="sha-{commit:.7}")
    with pytest.raises(Unreachable, match="has no acme/shop:sha-ccccccc, the tag of the release's commit") as caught:
        await verify(shop, host, http, image, artifact)
    assert caught.value.cause is Cause.DIGEST_UNKNOWN
    off = shop.artifact(commit_tag="")
    assert (await verify(shop, host, http, image, off)).image == image


async def test_a_registry_that_is_broken_proves_nothing(
    shop: Shop, http: httpx.AsyncClient, whole_fleet: Fleet
) -> None:
    broken = whole_fleet.registry("broken_proof", broken=True)
    with pytest.raises(Unreachable, match="500"):
        await prove(shop, http, shop.artifact(registry=broken.address))


@pytest.mark.parametrize("password", [registries.PASSWORD, "hunter2", None])
async def test_only_the_right_password_is_proved(
    shop: Shop, http: httpx.AsyncClient, guarded: Registry, tmp_path: Path, password: str | None
) -> None:
    login = None
    if password is not None:
        file = tmp_path / "password"
        file.write_text(password)
        login = {"user": registries.USER, "password": f"file:{file}"}
    artifact = shop.artifact(registry=guarded.address, credentials=login)
    if password == registries.PASSWORD:
        assert registries.USER in await prove(shop, http, artifact)
        return
    with pytest.raises(Refused) as caught:
        await prove(shop, http, artifact)
    assert caught.value.cause is Cause.CREDENTIALS
    assert "hunter2" not in str(caught.value)
