"""The machine's own Docker engine, shown to each host as if it were that host's alone."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.sandbox.engine_errors import EngineError, no_such_container
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.engine_paths import Direct
from deploy.sandbox.faults import FaultMiddleware, Faults
from deploy.sandbox.real_engine_words import LABEL, Words

_PATH = re.compile(r"^(/v\d+\.\d+)?(/.*)$")
_CONTAINER = re.compile(r"^/containers/([^/]+)(/.*)?$")
# What a release uses, and nothing that could touch another host's containers or the machine's own.
_VERBS = {"/json", "/logs", "/start", "/stop", "/restart", "/kill", "/rename", "/update", "/wait", None}
_OPEN = re.compile(r"^/(_ping|version|info|images/json|images/create|images/.+/(json|tag)|distribution/.+/json)$")
_HOP = {"transfer-encoding", "content-length", "connection", "keep-alive"}
START_SECONDS, STOP_SECONDS = 60, 2


def build_real_engine(real: Path, folder: Path, *, address: str, name: str, owner: str) -> Starlette:
    """The app of one host's engine in front of the one at `real`; containers publish on `address`.

    `owner` tells this sandbox's containers from another one's. Images are the machine's: hosts share them.
    `app.state.faults` holds its faults.
    """
    faults = Faults()
    http = local_client(timeout=600, uds=real)
    host = _RealEngine(http, folder, Words(owner=owner, host=name, address=address))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await host.resume()
        yield
        await host.rest()
        await http.aclose()

    app = Starlette(
        routes=[Route("/{path:path}", host.handle, methods=["GET", "HEAD", "POST", "DELETE"])],
        middleware=[Middleware(FaultMiddleware, faults=faults), Middleware(Direct)],
        exception_handlers={EngineError: _refused, httpx.TransportError: _unreachable},
        lifespan=lifespan,
    )
    app.state.faults = faults
    return app


class _RealEngine:
    def __init__(self, http: httpx.AsyncClient, folder: Path, words: Words) -> None:
        self._http = http
        self._words = words
        self._running = folder / "running.json"

    async def handle(self, request: Request) -> Response:
        found = _PATH.match(request.url.path)
        version, path = (found[1] or "", found[2]) if found else ("", "/")
        if path == "/containers/json":
            return await self._list(request, version)
        if path == "/containers/create" and request.method == "POST":
            return await self._create(request, version)
        container = _CONTAINER.match(path)
        if container and container[2] in _VERBS and container[1] != "prune":
            return await self._one(request, version, container[1], container[2] or "")
        if _OPEN.match(path):
            return await self._pass(request, version + path, dict(request.query_params))
        raise EngineError(404, "page not found")

    async def resume(self) -> None:
        """Starts what ran when the sandbox was ended in order."""
        if self._running.exists():
            for identity in json.loads(self._running.read_text()):
                await self._http.post(f"/containers/{identity}/start", timeout=START_SECONDS)
            self._running.unlink()

    async def rest(self) -> None:
        """Stops what runs, so that a sandbox that is down leaves nothing running."""
        filters = json.dumps({"label": [self._words.label]})
        listed = (await self._http.get("/containers/json", params={"filters": filters})).json()
        identities = [each["Id"] for each in listed]
        self._running.parent.mkdir(parents=True, exist_ok=True)
        self._running.write_text(json.dumps(identities))
        for identity in identities:
            await self._http.post(f"/containers/{identity}/stop", params={"t": STOP_SECONDS})

    async def _list(self, request: Request, version: str) -> Response:
        query, keep = self._words.list_query(dict(request.query_params))
        answer = await self._http.get(f"{version}/containers/json", params=query)
        if answer.status_code != 200:
            return self._told(answer)
        return JSONResponse(keep([self._words.shown(each) for each in answer.json()]))

    async def _create(self, request: Request, version: str) -> Response:
        query = {**request.query_params, "name": self._words.inner_name(request.query_params.get("name"))}
        body = self._words.body(await request.json())
        return self._told(await self._http.post(f"{version}/containers/create", params=query, json=body))

    async def _one(self, request: Request, version: str, asked: str, verb: str) -> Response:
        identity = await self._find(asked)
        query = dict(request.query_params)
        if verb == "/rename":
            query["name"] = self._words.new_name(query.get("name"))
        return await self._pass(request, f"{version}/containers/{identity}{verb}", query)

    async def _find(self, asked: str) -> str:
        """The id of this host's container of that name or id; another host's is not there."""
        for guess in (self._words.inner_name(asked), asked):
            answer = await self._http.get(f"/containers/{guess}/json")
            if answer.status_code == 200 and answer.json()["Config"]["Labels"].get(LABEL) == self._words.key:
                identity: str = answer.json()["Id"]
                return identity
        raise no_such_container(asked)

    async def _pass(self, request: Request, path: str, query: dict[str, str]) -> Response:
        """Sent on as it came; JSON comes back in this host's words, everything else as it flows."""
        headers = {name: value for name, value in request.headers.items() if name not in {"host", *_HOP}}
        asked = self._http.build_request(
            request.method, path, params=query, headers=headers, content=await request.body()
        )
        answer = await self._http.send(asked, stream=True)
        if path.endswith(("/images/create", "/logs")) and answer.status_code == 200:
            return StreamingResponse(_flow(answer), answer.status_code, _headers(answer))
        await answer.aread()
        return self._told(answer)

    def _told(self, answer: httpx.Response) -> Response:
        if answer.headers.get("content-type", "").startswith("application/json"):
            shown: Any = self._words.shown(answer.json())
            return JSONResponse(shown, answer.status_code)
        return Response(answer.content, answer.status_code, _headers(answer))


async def _flow(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _HOP}


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, EngineError):
        raise error
    return JSONResponse({"message": error.message}, error.status)


async def _unreachable(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": f"the machine's engine does not answer: {error or type(error).__name__}"}, 503)
