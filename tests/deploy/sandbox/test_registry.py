"""The registry's answers are those that were measured on docker-registry 2.8.2."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.images import Image, build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.registry_store import digest_of
from deploy.sandbox.serving import PLAIN, serving

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ALL = f"{DOCKER}, {LIST}, {OCI}, {INDEX}"
NAME = "/v2/acme/shop"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = build_registry(tmp_path, RegistrySettings())
    async with serving(app) as served, httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as client:
        yield client


async def push(registry: httpx.AsyncClient, image: Image, *tags: str) -> str:
    return await push_image(registry.base_url.netloc.decode(), "acme/shop", image, tags)


async def push_list(registry: httpx.AsyncClient, media_type: str, child: Image, tag: str) -> str:
    entry = {"mediaType": child.media_type, "digest": child.digest, "size": len(child.manifest)}
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [{**entry, "platform": {"os": "linux", "architecture": "amd64"}}],
    }
    body = json.dumps(document).encode()
    answer = await registry.put(f"{NAME}/manifests/{tag}", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 201
    return digest_of(body)


async def head(registry: httpx.AsyncClient, reference: str, accept: str | None) -> tuple[int, str | None, str]:
    """Status, digest and media type."""
    headers = {"Accept": accept or "*/*"}
    answer = await registry.head(f"{NAME}/manifests/{reference}", headers=headers)
    assert answer.content == b""
    digest = answer.headers.get("Docker-Content-Digest")
    return answer.status_code, digest, answer.headers["Content-Type"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


async def test_what_was_pushed_comes_back_by_tag_and_by_digest(registry: httpx.AsyncClient) -> None:
    image = build_image("1.0.0")
    digest = await push(registry, image, "v1.0.0")

    for reference in ("v1.0.0", digest):
        answer = await registry.get(f"{NAME}/manifests/{reference}", headers={"Accept": ALL})
        assert answer.content == image.manifest
        assert answer.headers["Docker-Content-Digest"] == digest == digest_of(answer.content)
        assert answer.headers["Etag"] == f'"{digest}"'
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    assert (await registry.get(f"{NAME}/blobs/{layer}")).content == image.layer
    assert (await registry.get(f"{NAME}/tags/list")).json() == {"name": "acme/shop", "tags": ["v1.0.0"]}
    ranged = await registry.get(f"{NAME}/blobs/{layer}", headers={"Range": "bytes=0-9"})
    assert (ranged.status_code, ranged.content) == (206, image.layer[:10])


@pytest.mark.parametrize("accept", [None, OCI])
async def test_a_docker_manifest_asked_for_otherwise_has_another_digest(
    registry: httpx.AsyncClient, accept: str | None
) -> None:
    digest = await push(registry, build_image("1.0.0"), "v1.0.0")

    status, told, kind = await head(registry, "v1.0.0", accept)

    assert (status, kind) == (200, "application/vnd.docker.distribution.manifest.v1+prettyjws")
    assert told not in {None, digest}
    assert await head(registry, "v1.0.0", DOCKER) == (200, digest, DOCKER)
    assert await head(registry, "v1.0.0", ALL) == (200, digest, DOCKER)


async def test_a_manifest_list_is_its_child_to_a_client_that_knows_no_lists(registry: httpx.AsyncClient) -> None:
    image = build_image("1.0.0")
    await push(registry, image, "child")
    digest = await push_list(registry, LIST, image, "v1.0.0")

    assert await head(registry, "v1.0.0", ALL) == (200, digest, LIST)
    assert await head(registry, "v1.0.0", DOCKER) == (200, image.digest, DOCKER)
    assert (await head(registry, "v1.0.0", OCI))[1] not in {digest, image.digest}
    assert await head(registry, digest, DOCKER) == (200, digest, LIST)


@pytest.mark.parametrize("accept", [None, DOCKER, OCI])
async def test_an_oci_index_is_404_to_a_client_that_does_not_name_it(
    registry: httpx.AsyncClient, accept: str | None
) -> None:
    image = build_image("1.0.0", shape="oci")
    await push(registry, image, "child")
    digest = await push_list(registry, INDEX, image, "v1.0.0")

    refused = await registry.get(f"{NAME}/manifests/v1.0.0", headers={"Accept": accept or "*/*"})

    assert code(refused) == (404, "MANIFEST_UNKNOWN")
    assert refused.json()["errors"][0]["message"] == ("OCI index found, but accept header does not support OCI indexes")
    assert await head(registry, "v1.0.0", ALL) == (200, digest, INDEX)


async def test_a_forges_registry_serves_what_it_has_whatever_is_accepted(tmp_path: Path) -> None:
    app = build_registry(tmp_path, RegistrySettings(ignore_accept=True))
    async with (
        serving(app) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as registry,
    ):
        digest = await push(registry, build_image("1.0.0"), "v1.0.0")

        assert await head(registry, "v1.0.0", None) == (200, digest, DOCKER)


async def test_what_is_missing_is_told_with_its_code(registry: httpx.AsyncClient) -> None:
    nowhere = f"sha256:{'0' * 64}"

    assert code(await registry.get("/v2/acme/none/manifests/9.9.9")) == (404, "MANIFEST_UNKNOWN")
    assert code(await registry.get("/v2/acme/none/tags/list")) == (404, "NAME_UNKNOWN")
    assert code(await registry.get(f"{NAME}/blobs/{nowhere}")) == (404, "BLOB_UNKNOWN")
    assert code(await registry.get(f"{NAME}/manifests/sha256:short")) == (500, "UNKNOWN")
    assert (await registry.get("/v2/Acme/shop/tags/list")).text == "404 page not found\n"
    assert (await registry.get("/v2")).headers["Location"] == "/v2/"


async def test_an_image_id_taken_for_a_digest_looks_like_a_server_fault(registry: httpx.AsyncClient) -> None:
    image = build_image("1.0.0")
    await push(registry, image, "v1.0.0")

    assert code(await registry.get(f"{NAME}/manifests/{image.image_id}")) == (500, "UNKNOWN")


async def test_a_tag_moves_without_a_conflict(registry: httpx.AsyncClient) -> None:
    first = await push(registry, build_image("1.0.0"), "v1.0.0")
    second = await push(registry, build_image("1.0.0", build="2"), "v1.0.0")

    assert (await head(registry, "v1.0.0", ALL))[1] == second
    moved = await registry.put("/-/tags/acme/shop/v1.0.0", json={"digest": first})
    assert (moved.status_code, moved.json()) == (200, {"v1.0.0": first})
    assert (await head(registry, "v1.0.0", ALL))[1] == first
    assert (await registry.put("/-/tags/acme/shop/v1.0.0", json={"digest": "sha256:x"})).status_code == 409


async def test_a_manifest_is_deleted_by_digest_alone_and_its_tags_go_with_it(registry: httpx.AsyncClient) -> None:
    digest = await push(registry, build_image("1.0.0"), "v1.0.0", "latest")

    assert code(await registry.delete(f"{NAME}/manifests/v1.0.0")) == (400, "DIGEST_INVALID")
    assert (await registry.delete(f"{NAME}/manifests/{digest}")).status_code == 202
    assert (await head(registry, "v1.0.0", ALL))[0] == 404
    assert (await registry.get(f"{NAME}/tags/list")).json()["tags"] == []


async def test_a_blob_arrives_in_pieces_and_a_piece_out_of_place_is_416(registry: httpx.AsyncClient) -> None:
    blob = b"a layer in two pieces"
    place = (await registry.post(f"{NAME}/blobs/uploads/")).headers["Location"]

    first = await registry.patch(place, content=blob[:10], headers={"Content-Range": "0-9"})
    wrong = await registry.patch(place, content=blob[:10], headers={"Content-Range": "0-9"})
    assert (first.status_code, first.headers["Range"], wrong.status_code) == (202, "0-9", 416)
    await registry.patch(place, content=blob[10:], headers={"Content-Range": f"10-{len(blob) - 1}"})
    done = await registry.put(place, params={"digest": digest_of(blob)})

    assert done.status_code == 201
    assert (await registry.get(done.headers["Location"])).content == blob
    assert code(await registry.patch(place, content=b"x")) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_blob_with_another_digest_than_told_is_refused(registry: httpx.AsyncClient) -> None:
    place = (await registry.post(f"{NAME}/blobs/uploads/")).headers["Location"]

    refused = await registry.put(place, params={"digest": digest_of(b"this")}, content=b"that")
    at_once = await registry.post(f"{NAME}/blobs/uploads/", params={"digest": digest_of(b"this")}, content=b"this")

    assert code(refused) == (400, "DIGEST_INVALID")
    assert at_once.status_code == 201
    mount: dict[str, Any] = {"mount": digest_of(b"this"), "from": "acme/shop"}
    assert (await registry.post("/v2/acme/other/blobs/uploads/", params=mount)).status_code == 201


async def test_a_manifest_of_parts_that_are_not_there_is_refused(registry: httpx.AsyncClient) -> None:
    image = build_image("1.0.0")
    address, headers = f"{NAME}/manifests/v1.0.0", {"Content-Type": image.media_type}

    assert code(await registry.put(address, content=image.manifest, headers=headers)) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert code(await registry.put(address, content=b"{", headers=headers)) == (400, "MANIFEST_INVALID")


async def test_tags_are_paged_when_asked(registry: httpx.AsyncClient) -> None:
    await push(registry, build_image("1.0.0"), "a", "b", "c")

    first = await registry.get(f"{NAME}/tags/list", params={"n": 2})
    second = await registry.get(first.links["next"]["url"])

    assert (first.json()["tags"], second.json()["tags"]) == (["a", "b"], ["c"])


async def test_what_was_pushed_is_there_after_a_restart(tmp_path: Path) -> None:
    digests = set[str | None]()
    for _ in range(2):
        async with (
            serving(build_registry(tmp_path, RegistrySettings())) as served,
            httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as registry,
        ):
            if not digests:
                await push(registry, build_image("1.0.0"), "v1.0.0")
            digests.add((await head(registry, "v1.0.0", ALL))[1])

    assert digests == {build_image("1.0.0").digest}
