"""The Engine API's /containers, answered from one host's containers."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.sandbox.containers import Container, Containers, RestartPolicy
from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.engine_filters import matches, parse
from deploy.sandbox.engine_images import Image, Images
from deploy.sandbox.engine_logs import STDERR, STDOUT
from deploy.sandbox.engine_runner import Runner
from deploy.sandbox.engine_shapes import container_inspected, container_listed

_TRUE = re.compile(r"^(1|true)$", re.IGNORECASE)
FOLLOW_SECONDS = 0.1


class ContainersApi:
    def __init__(self, containers: Containers, images: Images, runner: Runner) -> None:
        self._containers = containers
        self._images = images
        self._runner = runner

    def routes(self) -> list[Route]:
        one = "/containers/{id}"
        return [
            Route("/containers/json", self.list),
            Route("/containers/create", self.create, methods=["POST"]),
            Route(f"{one}/json", self.inspect),
            Route(f"{one}/logs", self.logs),
            Route(f"{one}/start", self.start, methods=["POST"]),
            Route(f"{one}/stop", self.stop, methods=["POST"]),
            Route(f"{one}/restart", self.restart, methods=["POST"]),
            Route(f"{one}/kill", self.kill, methods=["POST"]),
            Route(f"{one}/rename", self.rename, methods=["POST"]),
            Route(f"{one}/update", self.update, methods=["POST"]),
            Route(f"{one}/wait", self.wait, methods=["POST"]),
            Route(one, self.remove, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        filters = parse(request.query_params.get("filters"))
        everything = _flag(request, "all") or "status" in filters
        limit = int(request.query_params.get("limit") or 0)
        found = [c for c in self._containers.all() if (everything or c.running) and matches(c, filters)]
        shown = found[:limit] if limit > 0 else found
        return JSONResponse([container_listed(c, self._images) for c in shown])

    async def create(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        image = self._images.find(body.get("Image") or "")
        host_config = {"NetworkMode": "default", **(body.pop("HostConfig", None) or {})}
        address = _address(body.pop("NetworkingConfig", None) or {})
        name = request.query_params.get("name")
        container = self._containers.create(name, image.id, _merged(image, body), host_config, address)
        return JSONResponse({"Id": container.id, "Warnings": []}, 201)

    async def inspect(self, request: Request) -> Response:
        return JSONResponse(container_inspected(self._asked(request)))

    async def start(self, request: Request) -> Response:
        await self._runner.start(self._asked(request))
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        await self._runner.stop(self._asked(request), _seconds(request))
        return Response(status_code=204)

    async def restart(self, request: Request) -> Response:
        await self._runner.restart(self._asked(request), _seconds(request))
        return Response(status_code=204)

    async def kill(self, request: Request) -> Response:
        self._runner.kill(self._asked(request), request.query_params.get("signal"))
        return Response(status_code=204)

    async def rename(self, request: Request) -> Response:
        self._containers.rename(self._asked(request), request.query_params.get("name", ""))
        return Response(status_code=204)

    async def update(self, request: Request) -> Response:
        container = self._asked(request)
        body = await request.json()
        if body.get("RestartPolicy"):
            container.policy = RestartPolicy.parse(body["RestartPolicy"])
            self._containers.save(container)
        return JSONResponse({"Warnings": []})

    async def remove(self, request: Request) -> Response:
        await self._runner.remove(self._asked(request), force=_flag(request, "force"))
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        container = self._asked(request)
        next_exit = request.query_params.get("condition") == "next-exit"
        return JSONResponse({"StatusCode": await self._runner.wait(container, next_exit=next_exit)})

    async def logs(self, request: Request) -> Response:
        container = self._asked(request)
        streams = {STDOUT} if _flag(request, "stdout") else set[int]()
        streams |= {STDERR} if _flag(request, "stderr") else set()
        if not streams:
            raise EngineError(400, "Bad parameters: you must choose at least one stream")
        tail = request.query_params.get("tail", "all")
        follow, stamps = _flag(request, "follow"), _flag(request, "timestamps")
        frames = self._frames(container, streams, int(tail) if tail.isdigit() else None, stamps=stamps, follow=follow)
        return StreamingResponse(frames, media_type="application/vnd.docker.raw-stream")

    async def _frames(
        self, container: Container, streams: set[int], tail: int | None, *, stamps: bool, follow: bool
    ) -> AsyncIterator[bytes]:
        log = self._runner.log(container)
        seen = log.length()
        yield log.frames(streams=streams, tail=tail, timestamps=stamps)
        while follow and container.running:
            await asyncio.sleep(FOLLOW_SECONDS)
            start, seen = seen, log.length()
            yield log.frames(streams=streams, tail=None, timestamps=stamps, start=start)

    def _asked(self, request: Request) -> Container:
        return self._containers.find(request.path_params["id"])


def _address(networking: dict[str, Any]) -> str:
    """The fixed address in its network; here an address of this machine, so one of its loopback."""
    endpoints = [each or {} for each in (networking.get("EndpointsConfig") or {}).values()]
    return next((str(each["IPAMConfig"]["IPv4Address"]) for each in endpoints if each.get("IPAMConfig")), "")


def _merged(image: Image, asked: dict[str, Any]) -> dict[str, Any]:
    """The image's configuration with what the caller said on top of it."""
    own = image.config
    merged = {**own, **{key: value for key, value in asked.items() if value not in (None, "", [], {})}}
    if asked.get("Entrypoint") and not asked.get("Cmd"):
        merged["Cmd"] = None
    for key in ("Labels", "ExposedPorts"):
        merged[key] = {**(own.get(key) or {}), **(asked.get(key) or {})}
    env = {line.split("=", 1)[0]: line for line in [*(own.get("Env") or []), *(asked.get("Env") or [])]}
    return {**merged, "Env": list(env.values())}


def _flag(request: Request, name: str) -> bool:
    return _TRUE.match(request.query_params.get(name, "")) is not None


def _seconds(request: Request) -> float | None:
    given = request.query_params.get("t")
    return float(given) if given else None
