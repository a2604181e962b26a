"""Forges to ask: the sandbox's in its flavours, and odd ones whose every answer a test writes itself."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from activities.clients.forge import ForgeClient, ForgeRepository
from activities.clients.http import new_client
from deploy.sandbox.forge import Flavour
from deploy.sandbox.serving import CUT, serving
from runbook.project import ForgeTable, ProjectTable
from tests.deploy.sandbox.forging import TOKEN, Bench, bench

FLAVOURS: list[Flavour] = ["gitea-1.23", "gitea-1.26", "forgejo-15"]
REPO = "/api/v1/repos/acme/shop"


def project(url: str, **more: Any) -> ProjectTable:
    return ProjectTable.model_validate({"owner": "acme", "name": "shop", "repository": f"{url}/acme/shop.git", **more})


def forge(folder: Path, url: str, token: str = TOKEN) -> ForgeTable:
    (folder / "token").write_text(token)
    return ForgeTable(url=url, token=f"file:{folder / 'token'}")


@contextlib.asynccontextmanager
async def asking(
    folder: Path, url: str, token: str = TOKEN, wait: timedelta = timedelta(seconds=10)
) -> AsyncIterator[ForgeRepository]:
    """The repository acme/shop as our client sees it."""
    async with new_client(wait) as http:
        yield await ForgeClient(http).repository(project(url), forge(folder, url, token))


@contextlib.asynccontextmanager
async def sandbox(
    folder: Path, flavour: Flavour = "gitea-1.26", **pipeline: Any
) -> AsyncIterator[tuple[Bench, ForgeRepository]]:
    async with (
        bench(folder, flavour=flavour, pipeline=pipeline) as held,
        asking(folder, held.url) as repository,
    ):
        yield held, repository


Answer = Callable[[Request], Response | Awaitable[Response]]


@dataclass
class Odd:
    """A forge whose answers are a test's: `answers` by "METHOD /path" below the repository; anything else is 404."""

    answers: dict[str, Answer | Response] = field(default_factory=dict[str, "Answer | Response"])
    asked: list[str] = field(default_factory=list[str])
    version: str = "1.26.3"
    url: str = ""

    async def answer(self, request: Request) -> Response:
        if request.url.path == "/api/v1/version":
            return JSONResponse({"version": self.version})
        what = f"{request.method} {request.url.path.removeprefix(REPO)}"
        self.asked.append(what)
        found = self.answers.get(what)
        if found is None:
            return JSONResponse({"message": "not here", "url": "x", "errors": None}, 404)
        if isinstance(found, Response):
            return found
        answer = found(request)
        return answer if isinstance(answer, Response) else await answer

    def count(self, what: str) -> int:
        return self.asked.count(what)


def cut(request: Request) -> Response:
    """The connection dies instead of an answer."""
    request.scope["extensions"][CUT]()
    return PlainTextResponse("never seen")


def json_of(*answers: Any, status: int = 200) -> Answer:
    """These answers one after the other, the last for ever."""
    left = list(answers)

    def answer(_: Request) -> Response:
        return JSONResponse(left.pop(0) if len(left) > 1 else left[0], status)

    return answer


@contextlib.asynccontextmanager
async def odd(folder: Path, **more: Any) -> AsyncIterator[tuple[Odd, ForgeRepository]]:
    made = Odd(**more)
    methods = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=methods)])
    async with serving(app) as served:
        made.url = served.url
        async with asking(folder, served.url) as repository:
            yield made, repository


async def sent(request: Request) -> Any:
    return json.loads(await request.body())
