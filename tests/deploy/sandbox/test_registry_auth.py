import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import PLAIN, serving

ACCOUNTS: dict[str, Any] = {"user": "bot", "password": "pw", "reader": "host", "reader_password": "ro"}
MANIFEST = "/v2/acme/shop/manifests/v1.0.0"
PULL = "repository:acme/shop:pull"


@asynccontextmanager
async def registry(root: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = build_registry(root, RegistrySettings(**ACCOUNTS, **settings))
    async with serving(app) as served, httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as client:
        yield client


async def token(client: httpx.AsyncClient, auth: tuple[str, str] | None, scope: str = "") -> dict[str, str]:
    query = {"service": "sandbox-registry", "scope": scope}
    answer = await client.get("/token", params=query, auth=auth)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def test_basic_challenges_and_takes_the_right_password_alone(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="basic") as client:
        challenged = await client.get("/v2/")

        assert challenged.status_code == 401
        assert challenged.headers["WWW-Authenticate"] == 'Basic realm="sandbox"'
        assert challenged.json()["errors"][0]["code"] == "UNAUTHORIZED"
        assert (await client.get("/v2/", auth=("bot", "pw"))).json() == {}
        assert (await client.get("/v2/", auth=("bot", "wrong"))).status_code == 401
        assert (await client.post("/v2/acme/shop/blobs/uploads/", auth=("host", "ro"))).status_code == 401


async def test_bearer_names_realm_service_and_scope(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="bearer") as client:
        root = (await client.get("/v2/")).headers["WWW-Authenticate"]
        pull = (await client.get(MANIFEST)).headers["WWW-Authenticate"]
        push = (await client.post("/v2/acme/shop/blobs/uploads/")).headers["WWW-Authenticate"]

        assert re.fullmatch(r'Bearer realm="http://[\d.:]+/token",service="sandbox-registry"', root)
        assert pull == f'{root},scope="{PULL}"'
        assert push == f'{root},scope="{PULL},push"'
        assert (await client.get(MANIFEST, auth=("bot", "pw"))).status_code == 401


async def test_an_anonymous_token_opens_the_root_and_proves_nothing(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="bearer") as client:
        nobody = await token(client, None, PULL)

        assert (await client.get("/v2/", headers=nobody)).status_code == 200
        refused = await client.get(MANIFEST, headers=nobody)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].endswith('error="insufficient_scope"')


async def test_a_wrong_password_is_refused_by_the_token_server(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="bearer") as client:
        assert (await client.get("/token", params={"scope": PULL}, auth=("bot", "wrong"))).status_code == 401


async def test_a_readers_token_pulls_and_does_not_push(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="bearer") as client:
        host = client.base_url.netloc.decode()
        await push_image(host, "acme/shop", build_image("1.0.0"), ["v1.0.0"], user="bot", password="pw")
        reader = await token(client, ("host", "ro"), f"{PULL},push")
        accept = "application/vnd.docker.distribution.manifest.v2+json"

        assert (await client.get(MANIFEST, headers={**reader, "Accept": accept})).status_code == 200
        assert (await client.post("/v2/acme/shop/blobs/uploads/", headers=reader)).status_code == 401
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await push_image(host, "acme/shop", build_image("1.1.0"), ["v1.1.0"], user="host", password="ro")
        assert (await client.get("/v2/acme/other/tags/list", headers=reader)).status_code == 401


async def test_a_token_that_ran_out_is_invalid(tmp_path: Path) -> None:
    async with registry(tmp_path, auth="bearer", token_seconds=0.0) as client:
        refused = await client.get(MANIFEST, headers=await token(client, ("bot", "pw"), PULL))

        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].endswith('error="invalid_token"')
