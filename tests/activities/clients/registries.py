"""Registries for tests: real ones, odd ones, and what is in them."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from activities.clients.registry import MANIFEST_TYPES
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.images import Format, build_image
from deploy.sandbox.images_push import push_image
from runbook.artifact_table import ArtifactTable, CredentialsTable, ManifestTable

DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX = MANIFEST_TYPES
PASSWORD = "sesame"


def artifact(address: str, *, user: str = "", password: str = "", **changes: Any) -> ArtifactTable:
    return ArtifactTable(
        registry=address,
        image="acme/shop",
        insecure=True,
        manifest=ManifestTable(file="/nowhere"),
        scan=["true"],
        credentials=CredentialsTable(user=user, password=password) if user else None,
    ).model_copy(update=changes)


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


def says(answer: Callable[[Request], Response]) -> Starlette:
    """A registry that gives this answer to everything."""

    async def told(request: Request) -> Response:
        return answer(request)

    return Starlette(routes=[Route("/{path:path}", told)])


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
