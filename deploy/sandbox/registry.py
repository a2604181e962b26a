"""An OCI distribution registry (push and pull) on a folder, answering as docker-registry 2.8 was measured to."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.sandbox.faults import FaultMiddleware, Faults
from deploy.sandbox.registry_answers import (
    API_VERSION,
    accepted,
    error,
    manifest_answer,
    manifest_unknown,
    negotiate,
)
from deploy.sandbox.registry_auth import Gatekeeper, RegistrySettings
from deploy.sandbox.registry_blobs import Blobs
from deploy.sandbox.registry_store import DIGEST, NAME, TAG, RegistryStore, digest_of

__all__ = ["RegistrySettings", "build_registry"]

Handler = Callable[[Request], Awaitable[Response]]
ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "*"}


def build_registry(root: Path, settings: RegistrySettings) -> Starlette:
    """The app for `root` (made when missing).

    `app.state.faults` holds its faults, `app.state.store` its content. `PUT /-/tags/{repository}/{tag}` with
    `{"digest": "sha256:…"}` moves a tag.
    """
    registry = Registry(RegistryStore(root), settings)
    faults = Faults()
    app = Starlette(routes=registry.routes(), middleware=[Middleware(FaultMiddleware, faults=faults)])
    app.state.faults = faults
    app.state.store = registry.store
    return app


class Registry:
    def __init__(self, store: RegistryStore, settings: RegistrySettings) -> None:
        self.store = store
        self.gate = Gatekeeper(settings)
        self.ignore_accept = settings.ignore_accept

    def routes(self) -> list[Route]:
        blobs = Blobs(self.store)
        table: list[tuple[str, Handler, str]] = [
            ("/manifests/{reference}", self.get_manifest, "GET"),
            ("/manifests/{reference}", self.put_manifest, "PUT"),
            ("/manifests/{reference}", self.delete_manifest, "DELETE"),
            ("/tags/list", self.list_tags, "GET"),
            ("/blobs/uploads/", blobs.start, "POST"),
            ("/blobs/uploads/{upload}", blobs.append, "PATCH"),
            ("/blobs/uploads/{upload}", blobs.finish, "PUT"),
            ("/blobs/uploads/{upload}", blobs.progress, "GET"),
            ("/blobs/uploads/{upload}", blobs.give_up, "DELETE"),
            ("/blobs/{digest}", blobs.get, "GET"),
        ]
        return [
            Route("/v2", _add_slash, methods=["GET"]),
            Route("/v2/", self.root, methods=["GET"]),
            Route("/token", self.token, methods=["GET"]),
            Route("/-/tags/{name:path}/{tag}", self.move_tag, methods=["PUT"]),
            *(Route("/v2/{name:path}" + path, self._guarded(do), methods=[how]) for path, do, how in table),
        ]

    async def root(self, request: Request) -> Response:
        return self.gate.refusal(request, None, "pull") or JSONResponse({}, headers=API_VERSION)

    async def token(self, request: Request) -> Response:
        return self.gate.token(request)

    async def get_manifest(self, request: Request) -> Response:
        name, reference = request.path_params["name"], request.path_params["reference"]
        if ":" in reference and not DIGEST.match(reference):
            return error(500, "UNKNOWN", "unknown error", "invalid checksum digest format")
        found = self.store.manifest(name, reference)
        if found is None and self.store.blob(name, reference) is not None:
            # An image ID taken for a digest looks like a server fault, as measured.
            return error(500, "UNKNOWN", "unknown error", "unrecognized manifest schema version 0")
        if found is None:
            return manifest_unknown(reference)
        if self.ignore_accept:
            return manifest_answer(request, found)
        chosen = negotiate(self.store, name, reference, found, accepted(request))
        return chosen if isinstance(chosen, Response) else manifest_answer(request, chosen)

    async def put_manifest(self, request: Request) -> Response:
        name, reference = request.path_params["name"], request.path_params["reference"]
        body = await request.body()
        try:
            missing = self.store.missing_parts(name, body)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            return error(400, "MANIFEST_INVALID", "manifest invalid", str(problem))
        if missing:
            return error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", {"digest": missing[0]})
        tag = None if ":" in reference else reference
        if tag and not TAG.match(tag):
            return error(400, "TAG_INVALID", "manifest tag did not match URI", tag)
        if tag is None and digest_of(body) != reference:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        digest = self.store.put_manifest(name, body, request.headers.get("content-type", ""), tag)
        headers = {
            **API_VERSION,
            "Location": f"/v2/{name}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        return Response(status_code=201, headers=headers)

    async def delete_manifest(self, request: Request) -> Response:
        name, reference = request.path_params["name"], request.path_params["reference"]
        if not DIGEST.match(reference):
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        if self.store.manifest(name, reference) is None:
            return manifest_unknown(reference)
        self.store.delete_manifest(name, reference)
        return Response(status_code=202, headers=API_VERSION)

    async def list_tags(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not self.store.knows(name):
            return error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        tags = [tag for tag in self.store.tags(name) if tag > request.query_params.get("last", "")]
        headers = dict(API_VERSION)
        count = int(request.query_params.get("n") or len(tags))
        if 0 < count < len(tags):
            tags = tags[:count]
            headers["Link"] = f'</v2/{name}/tags/list?last={tags[-1]}&n={count}>; rel="next"'
        return JSONResponse({"name": name, "tags": tags}, headers=headers)

    async def move_tag(self, request: Request) -> Response:
        name, tag = request.path_params["name"], request.path_params["tag"]
        try:
            self.store.move_tag(name, tag, str((await request.json()).get("digest")))
        except (LookupError, ValueError) as problem:
            return PlainTextResponse(f"{problem}\n", 409)
        return JSONResponse(self.store.tags(name))

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            name = request.path_params["name"]
            if not NAME.match(name):
                return PlainTextResponse("404 page not found\n", 404)
            action = ACTIONS.get(request.method, "push")
            return self.gate.refusal(request, name, action) or await handler(request)

        return guarded


async def _add_slash(_: Request) -> Response:
    return RedirectResponse("/v2/", 301)
