"""A small Docker Engine: the part of its API that a release uses, over containers that are local processes."""

import contextlib
import json
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.sandbox.containers import Containers
from deploy.sandbox.engine_containers import ContainersApi
from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.engine_images import Images
from deploy.sandbox.engine_paths import Direct, Unversioned
from deploy.sandbox.engine_reference import ImageReference
from deploy.sandbox.engine_runner import Runner
from deploy.sandbox.engine_shapes import image_inspected, image_listed
from deploy.sandbox.faults import FaultMiddleware, Faults

# The engine whose answers were measured.
VERSION, API_VERSION, OLDEST_API_VERSION = "20.10.24", "1.41", "1.12"


def build_engine(folder: Path, *, address: str, name: str) -> Starlette:
    """The app of one host's engine, its state in `folder`; containers publish on `address`.

    `app.state.faults` holds its faults, `app.state.runner` its processes. Needs its lifespan run.
    """
    images, containers = Images(folder / "images"), Containers(folder / "containers")
    runner, faults = Runner(containers, images, address), Faults()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await runner.resume()
        yield
        await runner.close()

    app = Starlette(
        routes=[
            *_SystemApi(name, images, containers).routes(),
            *ContainersApi(containers, images, runner).routes(),
            *_ImagesApi(images, containers).routes(),
        ],
        middleware=[
            Middleware(Unversioned, newest=API_VERSION),
            Middleware(FaultMiddleware, faults=faults),
            Middleware(Direct),
        ],
        exception_handlers={EngineError: _refused, 404: _unknown, 405: _unknown},
        lifespan=lifespan,
    )
    app.state.faults, app.state.runner = faults, runner
    app.state.containers, app.state.images = containers, images
    return app


class _SystemApi:
    def __init__(self, name: str, images: Images, containers: Containers) -> None:
        self._name = name
        self._images = images
        self._containers = containers

    def routes(self) -> list[Route]:
        return [Route("/_ping", self.ping), Route("/version", self.version), Route("/info", self.info)]

    async def ping(self, _: Request) -> Response:
        headers = {"Api-Version": API_VERSION, "Docker-Experimental": "false", "Ostype": "linux"}
        return Response("OK", headers=headers, media_type="text/plain")

    async def version(self, _: Request) -> Response:
        return JSONResponse({
            "Version": VERSION,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": OLDEST_API_VERSION,
            "Os": "linux",
            "Arch": "amd64",
            "KernelVersion": platform.release(),
            "Platform": {"Name": "sandbox: containers are local processes"},
        })  # fmt: skip

    async def info(self, _: Request) -> Response:
        containers = self._containers.all()
        return JSONResponse({
            "ID": self._name,
            "Name": self._name,
            "ServerVersion": VERSION,
            "Driver": "process",
            "OSType": "linux",
            "Architecture": "x86_64",
            "Containers": len(containers),
            "ContainersRunning": sum(container.running for container in containers),
            "ContainersPaused": 0,
            "ContainersStopped": sum(not container.running for container in containers),
            "Images": len(self._images.all()),
            "LiveRestoreEnabled": False,
        })  # fmt: skip


class _ImagesApi:
    def __init__(self, images: Images, containers: Containers) -> None:
        self._images = images
        self._containers = containers

    def routes(self) -> list[Route]:
        return [
            Route("/images/json", self.list),
            Route("/images/create", self.pull, methods=["POST"]),
            Route("/images/{name:path}/json", self.inspect),
            Route("/images/{name:path}/tag", self.tag, methods=["POST"]),
            Route("/images/{name:path}", self.remove, methods=["DELETE"]),
        ]

    async def list(self, _: Request) -> Response:
        return JSONResponse([image_listed(image) for image in self._images.all()])

    async def inspect(self, request: Request) -> Response:
        return JSONResponse(image_inspected(self._images.find(request.path_params["name"])))

    async def pull(self, request: Request) -> Response:
        """Docker's habit: what fails before the first line has a status, what fails later is a line of a 200."""
        query = request.query_params
        reference = ImageReference.parse(query.get("fromImage", ""), query.get("tag", ""))
        lines = self._images.pull(reference, request.headers.get("x-registry-auth"))
        first = await anext(lines)
        return StreamingResponse(_streamed(first, lines), media_type="application/json")

    async def tag(self, request: Request) -> Response:
        image = self._images.find(request.path_params["name"])
        query = request.query_params
        self._images.tag(image, ImageReference.parse(query.get("repo", ""), query.get("tag", "")))
        return Response(status_code=201)

    async def remove(self, request: Request) -> Response:
        name, force = request.path_params["name"], request.query_params.get("force", "0") in {"1", "true"}
        used_by = self._containers.using(self._images.find(name).id)
        return JSONResponse(self._images.remove(name, force=force, used_by=used_by))


async def _streamed(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    yield json.dumps(first) + "\r\n"
    try:
        async for line in rest:
            yield json.dumps(line) + "\r\n"
    except EngineError as error:
        yield json.dumps({"errorDetail": {"message": error.message}, "error": error.message}) + "\r\n"


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, EngineError):
        raise error
    if error.status == 304:
        return Response(status_code=304)
    return JSONResponse({"message": error.message}, error.status)


async def _unknown(_: Request, __: Exception) -> Response:
    return JSONResponse({"message": "page not found"}, 404)
