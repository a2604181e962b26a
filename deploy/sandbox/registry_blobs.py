"""Blobs over HTTP: fetch, and upload in one piece or in many."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from deploy.sandbox.registry_answers import API_VERSION, error
from deploy.sandbox.registry_store import RegistryStore


class Blobs:
    def __init__(self, store: RegistryStore) -> None:
        self.store = store

    async def get(self, request: Request) -> Response:
        name, digest = request.path_params["name"], request.path_params["digest"]
        path = self.store.blob(name, digest)
        if path is None:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        headers = {**API_VERSION, "Docker-Content-Digest": digest}
        return FileResponse(path, media_type="application/octet-stream", headers=headers)

    async def start(self, request: Request) -> Response:
        """202 with a place to upload to; 201 at once when mounted, or sent along with its digest."""
        name, query = request.path_params["name"], request.query_params
        if self.store.mount(name, query.get("from", ""), query.get("mount", "")):
            return _created(name, query["mount"])
        if "digest" in query:
            if not self.store.put_blob(name, await request.body(), query["digest"]):
                return _wrong_digest()
            return _created(name, query["digest"])
        return self._under_way(name, self.store.start_upload(), 202)

    async def append(self, request: Request) -> Response:
        name, upload = request.path_params["name"], request.path_params["upload"]
        if (refusal := self._unknown(upload)) is not None:
            return refusal
        size = self.store.upload(upload).stat().st_size
        start = request.headers.get("content-range", f"{size}-").partition("-")[0]
        if int(start) != size:
            return self._under_way(name, upload, 416)
        await self._receive(request, upload)
        return self._under_way(name, upload, 202)

    async def finish(self, request: Request) -> Response:
        name, upload = request.path_params["name"], request.path_params["upload"]
        if (refusal := self._unknown(upload)) is not None:
            return refusal
        await self._receive(request, upload)
        digest = request.query_params.get("digest", "")
        path = self.store.upload(upload)
        stored = self.store.put_blob(name, path, digest)
        path.unlink()
        return _created(name, digest) if stored else _wrong_digest()

    async def progress(self, request: Request) -> Response:
        name, upload = request.path_params["name"], request.path_params["upload"]
        return self._unknown(upload) or self._under_way(name, upload, 204)

    async def give_up(self, request: Request) -> Response:
        upload = request.path_params["upload"]
        if (refusal := self._unknown(upload)) is not None:
            return refusal
        self.store.upload(upload).unlink()
        return Response(status_code=204, headers=API_VERSION)

    async def _receive(self, request: Request, upload: str) -> None:
        with self.store.upload(upload).open("ab") as file:
            async for chunk in request.stream():
                file.write(chunk)

    def _unknown(self, upload: str) -> Response | None:
        try:
            known = self.store.upload(upload).exists()
        except ValueError:
            known = False
        return None if known else error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

    def _under_way(self, name: str, upload: str, status: int) -> Response:
        size = self.store.upload(upload).stat().st_size
        headers = {
            **API_VERSION,
            "Location": f"/v2/{name}/blobs/uploads/{upload}",
            "Docker-Upload-UUID": upload,
            "Range": f"0-{max(size - 1, 0)}",
        }
        return Response(status_code=status, headers=headers)


def _created(name: str, digest: str) -> Response:
    headers = {**API_VERSION, "Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status_code=201, headers=headers)


def _wrong_digest() -> Response:
    return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
