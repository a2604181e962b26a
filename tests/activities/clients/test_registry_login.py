"""Logging in to a registry: Basic, Bearer, rights, and what proves a credential."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from activities.clients.registry import Registry
from activities.errors import Refused, Unreachable
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.registry import RegistrySettings, build_registry
from runbook.trouble import Cause
from tests.activities.clients.registries import (
    OCI_MANIFEST,
    PASSWORD,
    artifact,
    pushed,
    says,
    token_registry,
)


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
