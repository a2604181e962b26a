"""Which digest a tag has, and which credentials are worth something, asked of a registry as it really answers."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from activities.clients.registry import MANIFEST_TYPES, Registry
from activities.errors import Refused, Unreachable
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.images import Format, build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import serve
from runbook.project import ArtifactTable, CredentialsTable, ManifestTable
from runbook.trouble import Cause

DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX = MANIFEST_TYPES
PASSWORD = "sesame"


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with local_client(timeout=2) as client:
        yield client


@pytest.fixture
def registry(http: httpx.AsyncClient) -> Registry:
    return Registry(http)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def started(app: Starlette | None = None, **settings: Any) -> str:
            made = app or build_registry(tmp_path / "registry", RegistrySettings(password=PASSWORD, **settings))
            served = await serve(made)
            stack.push_async_callback(served.close)
            return f"127.0.0.1:{served.port}"

        yield started


def artifact(address: str, *, user: str = "", password: str = "", **changes: Any) -> ArtifactTable:
    return ArtifactTable(
        registry=address,
        image="acme/shop",
        insecure=True,
        manifest=ManifestTable(file="/nowhere"),
        scan=["true"],
        credentials=CredentialsTable(user=user, password=password) if user else None,
    ).model_copy(update=changes)


@pytest.fixture
def sesame(tmp_path: Path) -> Callable[[str], str]:
    def written(text: str) -> str:
        path = tmp_path / f"secret-{len(text)}"
        path.write_text(text + "\n")
        return f"file:{path}"

    return written


@pytest.fixture
def right(sesame: Callable[[str], str]) -> str:
    return sesame(PASSWORD)


@pytest.fixture
def wrong(sesame: Callable[[str], str]) -> str:
    return sesame("open")


async def pushed(address: str, version: str = "1.0.0", shape: Format = "docker", **account: str) -> str:
    return await push_image(address, "acme/shop", build_image(version, shape=shape), [f"v{version}"], **account)


async def put_index(address: str, kind: str, tag: str, child: str) -> str:
    manifests = [
        {"mediaType": DOCKER_MANIFEST, "size": 1, "digest": child, "platform": {"os": "linux", "architecture": "amd64"}}
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}).encode()
    async with local_client(timeout=5) as http:
        answer = await http.put(
            f"http://{address}/v2/acme/shop/manifests/{tag}", content=body, headers={"Content-Type": kind}
        )
    assert answer.status_code == 201
    return "sha256:" + hashlib.sha256(body).hexdigest()


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


def says(answer: Callable[[Request], Response]) -> Starlette:
    """A registry that gives this answer to everything."""

    async def told(request: Request) -> Response:
        return answer(request)

    return Starlette(routes=[Route("/{path:path}", told)])


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


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_right_credentials_read_the_digest(registry: Registry, start: Any, auth: str, right: str) -> None:
    address = await start(auth=auth)
    digest = await pushed(address, user="release-bot", password=PASSWORD)
    assert await registry.digest(artifact(address, user="release-bot", password=right), "v1.0.0") == digest


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("exists", [True, False])
async def test_right_credentials_are_proved_whether_or_not_the_version_is_there(
    registry: Registry, start: Any, auth: str, right: str, *, exists: bool
) -> None:
    address = await start(auth=auth)
    if exists:
        await pushed(address, user="release-bot", password=PASSWORD)
    said = await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    assert said.endswith("acme/shop:v1.0.0 is there" if exists else "acme/shop:v1.0.0 is not there yet")
    assert "user release-bot" in said
    assert PASSWORD not in said


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_a_wrong_password_is_refused_and_never_said(
    registry: Registry, start: Any, auth: str, wrong: str
) -> None:
    address = await start(auth=auth)
    with pytest.raises(Refused, match=r"refuses user release-bot.*password") as refused:
        await registry.prove(artifact(address, user="release-bot", password=wrong), "v1.0.0")
    assert refused.value.cause == Cause.CREDENTIALS
    assert "open" not in str(refused.value)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_no_credentials_where_they_are_needed_is_refused(registry: Registry, start: Any, auth: str) -> None:
    address = await start(auth=auth)
    with pytest.raises(Refused, match="refuses anybody without credentials") as refused:
        await registry.prove(artifact(address), "v1.0.0")
    assert refused.value.cause == Cause.CREDENTIALS


def token_registry(token: Callable[[Request], Response], *, error: str = "") -> Callable[[Request], Response]:
    def asked(request: Request) -> Response:
        if request.url.path == "/token":
            return token(request)
        if request.headers.get("authorization") == "Bearer good":
            return JSONResponse({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, 404)
        more = f',error="{error}"' if error and "authorization" in request.headers else ""
        realm = f'Bearer realm="{request.base_url}token",service="registry"{more}'
        return Response(status_code=401, headers={"WWW-Authenticate": realm})

    return asked


async def test_a_login_without_the_right_is_told_from_a_wrong_password(
    registry: Registry, start: Any, right: str
) -> None:
    given = token_registry(lambda _: JSONResponse({"token": "other"}), error="insufficient_scope")
    address = await start(says(given))
    with pytest.raises(Refused, match="the login is right, but it may not pull acme/shop") as refused:
        await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    assert refused.value.cause == Cause.CREDENTIALS


async def test_a_token_is_asked_for_with_the_login_and_the_repositorys_scope(
    registry: Registry, start: Any, right: str
) -> None:
    asked: list[Request] = []

    def token(request: Request) -> Response:
        asked.append(request)
        return JSONResponse({"access_token": "good"})

    address = await start(says(token_registry(token)))
    await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    (request,) = asked
    assert dict(request.query_params) == {"scope": "repository:acme/shop:pull", "service": "registry"}
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "answer",
    [Response(status_code=503), Response(b"<html>"), JSONResponse({"token": ""})],
    ids=["503", "html", "empty"],
)
async def test_an_unwell_token_server_is_asked_again(
    registry: Registry, start: Any, right: str, answer: Response
) -> None:
    address = await start(says(token_registry(lambda _: answer)))
    with pytest.raises(Unreachable, match="token"):
        await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")


async def test_a_registry_that_lets_anybody_read_does_not_prove_a_wrong_password(
    registry: Registry, start: Any, wrong: str
) -> None:
    """The repository is public, the registry's root is not: the login is proved there."""

    def public(request: Request) -> Response:
        if request.url.path != "/v2/":
            return Response(b"{}", media_type=OCI_MANIFEST)
        known = "Basic " + base64.b64encode(f"release-bot:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") == known:
            return JSONResponse({})
        return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="public"'})

    address = await start(says(public))
    with pytest.raises(Refused, match="user or password is wrong"):
        await registry.prove(artifact(address, user="release-bot", password=wrong), "v1.0.0")


async def test_a_registry_that_asks_nobody_says_so(registry: Registry, start: Any, right: str) -> None:
    address = await start()
    for user in ("", "release-bot"):
        said = await registry.prove(artifact(address, user=user, password=right), "v1.0.0")
        assert "asks nobody for credentials" in said


async def test_a_web_server_that_knows_nothing_of_images_proves_nothing(registry: Registry, start: Any) -> None:
    address = await start(says(lambda _: Response(b"404 page not found", 404)))
    with pytest.raises(Unreachable, match="answered 404"):
        await registry.prove(artifact(address), "v1.0.0")
    with pytest.raises(Unreachable, match="answered 404"):
        await registry.digest(artifact(address), "v1.0.0")


async def test_a_password_is_not_sent_in_the_clear_to_a_token_server_of_a_secure_registry(
    registry: Registry, start: Any, right: str
) -> None:
    auth = await start(says(token_registry(lambda _: JSONResponse({"token": "good"}))))
    secure = artifact(auth, user="release-bot", password=right, insecure=False)
    flow = registry._auth(secure).auth_flow(httpx.Request("GET", f"https://{auth}/v2/"))
    next(flow)
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{auth}/token"'}
    with pytest.raises(Refused, match="in the clear"):
        flow.send(httpx.Response(401, headers=challenge, request=httpx.Request("GET", f"https://{auth}/v2/")))


async def test_a_missing_secret_names_its_reference(registry: Registry, start: Any) -> None:
    address = await start(auth="basic")
    with pytest.raises(Refused, match="secret env:NO_SUCH_NAME is missing") as refused:
        await registry.prove(artifact(address, user="release-bot", password="env:NO_SUCH_NAME"), "v1.0.0")
    assert refused.value.cause == Cause.CREDENTIALS


@pytest.mark.parametrize("kind", ["drop_before", "status"])
async def test_a_registry_that_stumbles_is_asked_again(
    registry: Registry, start: Any, tmp_path: Path, kind: Any
) -> None:
    app = build_registry(tmp_path / "registry", RegistrySettings())
    address = await start(app)
    digest = await pushed(address)
    app.state.faults.add(FaultRule(match="GET /v2/*", kind=kind, status=503, times=1))
    with pytest.raises(Unreachable, match=f"registry {address}"):
        await registry.digest(artifact(address), "v1.0.0")
    assert await registry.digest(artifact(address), "v1.0.0") == digest


async def test_a_registry_that_is_down_is_unreachable(registry: Registry) -> None:
    with pytest.raises(Unreachable, match="did not answer"):
        await registry.digest(artifact("127.0.0.1:9"), "v1.0.0")


async def test_many_may_ask_at_once_with_logins_of_their_own(
    registry: Registry, start: Any, right: str, wrong: str
) -> None:
    address = await start(auth="bearer")
    digest = await pushed(address, user="release-bot", password=PASSWORD)
    good, bad = (artifact(address, user="release-bot", password=secret) for secret in (right, wrong))
    found = await asyncio.gather(
        *(registry.digest(table, "v1.0.0") for table in [good, bad] * 5), return_exceptions=True
    )
    assert found[::2] == [digest] * 5
    assert all(isinstance(each, Refused) for each in found[1::2])
