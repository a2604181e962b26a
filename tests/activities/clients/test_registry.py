"""Which digest a tag has, and which credentials are worth something, asked of a registry as it really answers."""

import hashlib
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from activities.clients.registry import Registry
from activities.errors import Refused, Unreachable
from deploy.sandbox.images import Format
from runbook.trouble import Cause
from tests.activities.clients.registries import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, artifact, pushed, put_index, says


@pytest.mark.parametrize("shape", ["docker", "oci"])
async def test_the_digest_of_a_tag_is_the_one_that_was_pushed(registry: Registry, start: Any, shape: Format) -> None:
    address = await start()
    digest = await pushed(address, shape=shape)
    assert await registry.digest(artifact(address), "v1.0.0") == digest


@pytest.mark.parametrize("kind", [DOCKER_LIST, OCI_INDEX])
async def test_a_list_has_its_own_digest_not_a_childs(registry: Registry, start: Any, kind: str) -> None:
    address = await start()
    child = await pushed(address)
    listed = await put_index(address, kind, "v2.0.0", child)
    assert await registry.digest(artifact(address), "v2.0.0") == listed != child


async def test_a_registry_that_ignores_accept_gives_the_same_digest(registry: Registry, start: Any) -> None:
    address = await start(ignore_accept=True)
    digest = await pushed(address, shape="oci")
    assert await registry.digest(artifact(address), "v1.0.0") == digest


async def test_a_tag_that_is_not_there_is_unknown_and_asked_for_again(registry: Registry, start: Any) -> None:
    address = await start()
    await pushed(address)
    with pytest.raises(Unreachable, match=r"has no acme/shop:v9\.9\.9") as unknown:
        await registry.digest(artifact(address), "v9.9.9")
    assert unknown.value.cause == Cause.DIGEST_UNKNOWN


async def test_an_old_form_of_manifest_is_refused(registry: Registry, start: Any) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    address = await start(says(lambda _: Response(b"{}", media_type=kind)))
    with pytest.raises(Refused, match=r"manifest\.v1") as refused:
        await registry.digest(artifact(address), "v1.0.0")
    assert refused.value.cause == Cause.DIGEST_UNKNOWN


async def test_bytes_that_are_not_what_the_registry_says_are_not_believed(registry: Registry, start: Any) -> None:
    headers = {"Docker-Content-Digest": "sha256:" + "0" * 64}
    address = await start(says(lambda _: Response(b"{}", media_type=OCI_MANIFEST, headers=headers)))
    with pytest.raises(Unreachable, match="its bytes are sha256:44136fa3") as unbelieved:
        await registry.digest(artifact(address), "v1.0.0")
    assert unbelieved.value.cause == Cause.DIGEST_MISMATCH


async def test_a_registry_that_states_no_digest_is_hashed(registry: Registry, start: Any) -> None:
    address = await start(says(lambda _: Response(b"{}", media_type=OCI_MANIFEST)))
    assert await registry.digest(artifact(address), "v1.0.0") == "sha256:" + hashlib.sha256(b"{}").hexdigest()


async def test_a_manifest_kept_elsewhere_is_fetched_there_without_the_login(
    registry: Registry, start: Any, right: str
) -> None:
    seen: list[str | None] = []

    def there(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return Response(b"{}", media_type=OCI_MANIFEST)

    elsewhere = await start(says(there))

    def here(request: Request) -> Response:
        if "authorization" not in request.headers:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="here"'})
        return RedirectResponse(f"http://localhost:{elsewhere.rpartition(':')[2]}/stored", 307)

    address = await start(says(here))
    assert (await registry.digest(artifact(address, user="release-bot", password=right), "v1")).startswith(
        "sha256:4413"
    )
    assert seen == [None]
