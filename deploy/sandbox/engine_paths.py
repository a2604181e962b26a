"""How a path reaches an engine's routes: without its API version, and past the faults for the sandbox itself."""

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Faults leave paths below /-/ alone: the sandbox's own look at an engine is not to be broken by them.
DIRECT = "/-/engine"
_VERSIONED = re.compile(r"^/v(\d+)\.(\d+)(/.*)$")


class Direct:
    """Takes `/-/engine` off the path; stands behind the faults."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(f"{DIRECT}/"):
            short = path.removeprefix(DIRECT)
            scope = {**scope, "path": short, "raw_path": short.encode()}
        await self.app(scope, receive, send)


class Unversioned:
    """Takes `/v1.41` off the path; a newer version than ours is refused as Docker does."""

    def __init__(self, app: ASGIApp, newest: str) -> None:
        self.app = app
        self._newest = newest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _VERSIONED.match(scope.get("path", ""))
        if found:
            major, minor, path = found.groups()
            if (int(major), int(minor)) > _numbers(self._newest):
                message = f"client version {major}.{minor} is too new. Maximum supported API version is {self._newest}"
                await JSONResponse({"message": message}, 400)(scope, receive, send)
                return
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
