"""Faults that can be switched on in any sandbox server, and a count of what it was asked."""

import asyncio
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.sandbox.serving import CUT

ADMIN = "/-/faults"
REQUESTS = "/-/requests"
REMEMBERED = 5000


class FaultRule(BaseModel):
    """One fault: what it hits ("METHOD /path/glob"), what happens, and how often (None: until cleared).

    `drop_before` cuts the connection before the request takes effect, `drop_after` after it did and before
    a byte of the answer; `delay` waits `seconds` and then answers as usual.
    """

    model_config = ConfigDict(extra="forbid")

    match: str = Field(pattern=r"^(\*|[A-Z]+) /\S*$")
    kind: Literal["status", "delay", "drop_before", "drop_after"]
    status: int = Field(default=500, ge=200, le=599)
    seconds: float = Field(default=0.0, ge=0)
    times: int | None = Field(default=None, ge=1)

    def hits(self, method: str, path: str) -> bool:
        return fnmatchcase(f"{method} {path}", self.match)


class Faults:
    """The rules in force, oldest first, and the last 5000 requests of one server."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []
        self.requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)

    def add(self, rule: FaultRule) -> None:
        # A copy, because `times` is counted down.
        self.rules.append(rule.model_copy())

    def clear(self) -> None:
        self.rules.clear()

    def count(self, method: str, path_glob: str) -> int:
        """How many remembered requests were `method` on a path like `path_glob`."""
        return sum(r["method"] == method and fnmatchcase(r["path"], path_glob) for r in self.requests)

    def take(self, method: str, path: str) -> FaultRule | None:
        """The first rule that hits this request, spending one of its times."""
        rule = next((rule for rule in self.rules if rule.hits(method, path)), None)
        if rule is not None and rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self.rules.remove(rule)
        return rule


class FaultMiddleware:
    """Applies the faults, counts requests, and answers `/-/faults` and `/-/requests`."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] in {ADMIN, REQUESTS}:
            answer = await self._administer(Request(scope, receive))
            await answer(scope, receive, send)
        elif scope["path"].startswith("/-/"):
            await self.app(scope, receive, send)
        else:
            await self._meddle(scope, receive, send)

    async def _meddle(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        seen: dict[str, Any] = {"method": method, "path": path, "status": 0}
        self.faults.requests.append(seen)
        rule = self.faults.take(method, path)
        kind = rule.kind if rule else None
        if rule and kind == "status":
            seen["status"] = rule.status
            await JSONResponse({"message": "a fault of the sandbox"}, rule.status)(scope, receive, send)
        elif kind == "drop_before":
            await _drop(scope, receive)
        elif kind == "drop_after":
            await self.app(scope, receive, _noting(seen, _swallow))
            await _drop(scope, receive)
        else:
            if rule and kind == "delay":
                await asyncio.sleep(rule.seconds)
            await self.app(scope, receive, _noting(seen, send))

    async def _administer(self, request: Request) -> Response:
        if request.url.path == REQUESTS:
            return JSONResponse(list(self.faults.requests))
        if request.method == "POST":
            try:
                self.faults.add(FaultRule.model_validate_json(await request.body()))
            except ValidationError as error:
                return JSONResponse({"errors": error.errors(include_url=False, include_context=False)}, 422)
        elif request.method == "DELETE":
            self.faults.clear()
        return JSONResponse([rule.model_dump() for rule in self.faults.rules])


def _noting(seen: dict[str, Any], send: Send) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen["status"] = message["status"]
        await send(message)

    return noting


async def _swallow(_: Message) -> None:
    return


async def _drop(scope: Scope, receive: Receive) -> None:
    cut: Callable[[], None] | None = scope.get("extensions", {}).get(CUT)
    if cut is None:
        raise ConnectionAbortedError("a fault of the sandbox cut the connection")
    cut()
    while (await receive())["type"] != "http.disconnect":
        pass
