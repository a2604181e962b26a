"""Pushes an image to a registry over HTTP, answering a Basic or Bearer challenge."""

import re
from collections.abc import Generator, Iterable

import httpx

from deploy.sandbox.images import Image
from deploy.sandbox.registry_store import digest_of
from deploy.sandbox.serving import PLAIN

PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryAuth(httpx.Auth):
    """Sends nothing until challenged, then what the challenge asks for."""

    requires_response_body = True

    def __init__(self, user: str, password: str) -> None:
        self._basic = httpx.BasicAuth(user, password)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        response = yield request
        challenge = response.headers.get("www-authenticate", "")
        if response.status_code != 401:
            return
        if challenge.lower().startswith("bearer"):
            said = dict(PARAMETER.findall(challenge))
            query = {key: said[key] for key in ("service", "scope") if key in said}
            asking = httpx.Request("GET", said["realm"], params=query)
            granted = yield next(self._basic.auth_flow(asking))
            if granted.status_code == 200:
                request.headers["Authorization"] = f"Bearer {granted.json()['token']}"
                yield request
        elif challenge.lower().startswith("basic"):
            yield next(self._basic.auth_flow(request))


async def push_image(
    registry: str, repository: str, image: Image, tags: Iterable[str], *, user: str = "", password: str = ""
) -> str:
    """Pushes to `registry` ("host:port") under every tag and answers the digest; parts that are there are skipped."""
    auth = RegistryAuth(user, password) if user else None
    async with httpx.AsyncClient(
        base_url=f"http://{registry}/v2/{repository}", auth=auth, trust_env=False, verify=PLAIN
    ) as client:
        for blob in (image.config, image.layer):
            await _push_blob(client, blob)
        for tag in tags:
            headers = {"Content-Type": image.media_type}
            answer = await client.put(f"/manifests/{tag}", content=image.manifest, headers=headers)
            answer.raise_for_status()
    return image.digest


async def _push_blob(client: httpx.AsyncClient, blob: bytes) -> None:
    digest = digest_of(blob)
    if (await client.head(f"/blobs/{digest}")).status_code == 200:
        return
    started = await client.post("/blobs/uploads/")
    started.raise_for_status()
    # A real registry keeps the upload's state in the query.
    place = started.url.join(started.headers["Location"]).copy_merge_params({"digest": digest})
    answer = await client.put(place, content=blob)
    answer.raise_for_status()
