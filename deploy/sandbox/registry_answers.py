"""The registry's words: errors with codes, and which stored manifest an Accept header gets."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.sandbox.registry_store import Manifest, RegistryStore, digest_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
API_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


def error(status: int, code: str, message: str, detail: Any = None, headers: dict[str, str] | None = None) -> Response:
    body = {"errors": [{"code": code, "message": message, "detail": detail}]}
    return JSONResponse(body, status, headers={**API_VERSION, **(headers or {})})


def manifest_unknown(reference: str) -> Response:
    if ":" in reference:
        message, detail = f"manifest unknown to revision {reference}", {"Revision": reference}
    else:
        message, detail = "manifest unknown", {"Tag": reference}
    return error(404, "MANIFEST_UNKNOWN", message, detail)


def manifest_answer(request: Request, manifest: Manifest) -> Response:
    headers = {
        **API_VERSION,
        "Docker-Content-Digest": manifest.digest,
        "Etag": f'"{manifest.digest}"',
        "Content-Length": str(len(manifest.body)),
    }
    body = b"" if request.method == "HEAD" else manifest.body
    return Response(body, media_type=manifest.media_type, headers=headers)


def accepted(request: Request) -> set[str]:
    """The media types asked for by name; a wildcard counts for nothing, as measured."""
    headers = request.headers.getlist("accept")
    return {part.split(";")[0].strip() for header in headers for part in header.split(",")}


def negotiate(
    store: RegistryStore, name: str, reference: str, manifest: Manifest, accepts: set[str]
) -> Manifest | Response:
    """What the measured registry answers: the manifest, an older shape of it under another digest, or 404."""
    kind = manifest.media_type
    if kind in {OCI_MANIFEST, OCI_INDEX} and kind not in accepts:
        what = "manifest" if kind == OCI_MANIFEST else "index"
        plural = "manifests" if kind == OCI_MANIFEST else "indexes"
        message = f"OCI {what} found, but accept header does not support OCI {plural}"
        return error(404, "MANIFEST_UNKNOWN", message)
    by_tag = ":" not in reference
    if by_tag and kind == DOCKER_LIST and kind not in accepts:
        child = _default_child(store, name, manifest)
        if child is None:
            return manifest_unknown(reference)
        return child if DOCKER_MANIFEST in accepts else _schema_1(name, reference, child)
    if by_tag and kind == DOCKER_MANIFEST and kind not in accepts:
        return _schema_1(name, reference, manifest)
    return manifest


def _default_child(store: RegistryStore, name: str, index: Manifest) -> Manifest | None:
    for child in json.loads(index.body)["manifests"]:
        platform = child.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return store.manifest(name, child["digest"])
    return None


def _schema_1(name: str, tag: str, manifest: Manifest) -> Manifest:
    # The trap itself: the same image, told in an older form, whose digest is another.
    layers = [{"blobSum": layer["digest"]} for layer in reversed(json.loads(manifest.body)["layers"])]
    document = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": layers,
        "history": [{"v1Compatibility": json.dumps({"id": layer["blobSum"]})} for layer in layers],
    }
    body = json.dumps(document, indent=3).encode()
    return Manifest(digest_of(body), SCHEMA_1, body)
