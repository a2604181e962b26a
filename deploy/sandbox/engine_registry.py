"""The engine's side of an OCI registry: manifests and blobs, checked against their digests."""

import base64
import binascii
import hashlib
import ipaddress
import json
import re
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.engine_reference import ImageReference

_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryPull:
    """One pull's conversation with the registry of `reference`; `header` is X-Registry-Auth."""

    def __init__(self, reference: ImageReference, header: str | None) -> None:
        self._reference = reference
        self._base = f"http://{reference.registry}"
        self._credentials = _credentials(header)
        self._authorization: str | None = None
        _refuse_the_internet(reference)
        self._http = local_client(timeout=60)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def manifest(self, wanted: str) -> tuple[str, dict[str, Any]]:
        """The digest and the parsed manifest; its bytes are what the digest says."""
        answer = await self._get(f"/v2/{self._reference.path}/manifests/{wanted}")
        digest = "sha256:" + hashlib.sha256(answer.content).hexdigest()
        if wanted.startswith("sha256:") and wanted != digest:
            raise EngineError(500, f"manifest verification failed for digest {wanted}")
        return digest, json.loads(answer.content)

    async def blob(self, digest: str) -> bytes:
        answer = await self._get(f"/v2/{self._reference.path}/blobs/{digest}")
        if "sha256:" + hashlib.sha256(answer.content).hexdigest() != digest:
            raise EngineError(500, f"filesystem layer verification failed for digest {digest}")
        return answer.content

    async def _get(self, path: str) -> httpx.Response:
        try:
            answer = await self._send(path)
            if answer.status_code == 401:
                self._authorization = await self._answer_challenge(answer)
                answer = await self._send(path)
        except httpx.HTTPError as error:
            raise EngineError(500, f'Get "{self._base}{path}": {error or type(error).__name__}') from error
        if answer.status_code != 200:
            raise self._refusal(path, answer)
        return answer

    async def _send(self, path: str) -> httpx.Response:
        headers = {"Accept": ", ".join(_MANIFESTS)}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return await self._http.get(self._base + path, headers=headers, follow_redirects=True)

    async def _answer_challenge(self, answer: httpx.Response) -> str:
        challenge = answer.headers.get("www-authenticate", "")
        fields = dict(_CHALLENGE.findall(challenge))
        if challenge.lower().startswith("bearer"):
            return await self._bearer(fields)
        if self._credentials is None:
            raise EngineError(500, f'Get "{answer.url}": no basic auth credentials')
        return "Basic " + base64.b64encode(":".join(self._credentials).encode()).decode()

    async def _bearer(self, fields: dict[str, str]) -> str:
        query = {"scope": f"repository:{self._reference.path}:pull"}
        if "service" in fields:
            query["service"] = fields["service"]
        answer = await self._http.get(fields.get("realm", ""), params=query, auth=self._credentials)
        if answer.status_code != 200:
            raise EngineError(500, f'Get "{self._base}/v2/": unauthorized: authentication required')
        body = answer.json()
        return f"Bearer {body.get('token') or body.get('access_token')}"

    def _refusal(self, path: str, answer: httpx.Response) -> EngineError:
        reference = self._reference
        if answer.status_code in {401, 403}:
            return EngineError(
                404,
                f"pull access denied for {reference.repository}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied",
            )
        if answer.status_code == 404 and "/manifests/" in path:
            return EngineError(404, f"manifest for {reference} not found: manifest unknown: manifest unknown")
        if answer.status_code == 404:
            return EngineError(500, "unknown blob")
        return EngineError(500, f"received unexpected HTTP status: {answer.status_code} {answer.reason_phrase}")


def _credentials(header: str | None) -> tuple[str, str] | None:
    if not header:
        return None
    try:
        given = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return None
    user, password = given.get("username") or "", given.get("password") or ""
    return (user, password) if user or password else None


def _refuse_the_internet(reference: ImageReference) -> None:
    """The sandbox never leaves the machine, whatever an image is called."""
    host = reference.registry.rsplit(":", 1)[0]
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise EngineError(
            500, f'Get "https://{reference.registry}/v2/": dial tcp: lookup {host}: no such host (the sandbox is local)'
        )
