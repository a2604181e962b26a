"""The sandbox's private door: break a host, publish a version, edit an env file, read what is really there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.faults import FaultRule
from deploy.sandbox.hosts import Outage
from deploy.sandbox.images import ImageKind
from deploy.sandbox.sandbox_host import SandboxHost

Publish = Callable[["Version"], Awaitable[dict[str, Any]]]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Down(Body):
    """`seconds` None: until /up. `services`: the published ports are cut too, with the process engine."""

    seconds: float | None = Field(default=None, gt=0)
    mode: Outage = "refuse"
    services: bool = False


class HostKey(Body):
    """`restore` shows the host's own key again."""

    restore: bool = False


class Env(Body):
    """`replace`: the file has only these lines; otherwise they are set beside what is there, null takes one out."""

    lines: dict[str, str | None]
    replace: bool = False


class Version(Body):
    """`kind` is what the pipeline makes of it; `fail_first` builds fail before one succeeds.

    Without `changelog` its section is missing; without `green` the commit's checks fail.
    """

    version: str
    kind: ImageKind = "good"
    fail_first: int = Field(default=0, ge=0)
    changelog: bool = True
    green: bool = True


class Admin:
    def __init__(self, hosts: dict[str, SandboxHost], publish: Publish) -> None:
        self._hosts = hosts
        self._publish = publish
        self.notifications: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        one = "/hosts/{name}"
        return Starlette(
            routes=[
                Route("/state", self.state),
                Route("/versions", self.version, methods=["POST"]),
                Route("/env/{name}", self.env, methods=["GET", "POST"]),
                Route("/on-call", self.notified, methods=["GET", "POST"]),
                Route(f"{one}/down", self.down, methods=["POST"]),
                Route(f"{one}/up", self.up, methods=["POST"]),
                Route(f"{one}/cut", self.cut, methods=["POST"]),
                Route(f"{one}/host-key", self.host_key, methods=["POST"]),
                Route(f"{one}/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            ],
            exception_handlers={ValidationError: _malformed},
        )

    async def state(self, _: Request) -> Response:
        states = await asyncio.gather(*(host.state() for host in self._hosts.values()))
        return JSONResponse({"hosts": dict(zip(self._hosts, states, strict=True))})

    async def version(self, request: Request) -> Response:
        return JSONResponse(await self._publish(Version.model_validate_json(await request.body())), 201)

    async def env(self, request: Request) -> Response:
        host = self._asked(request)
        if request.method == "POST":
            asked = Env.model_validate_json(await request.body())
            lines = {**({} if asked.replace else host.env()), **asked.lines}
            host.write_env({key: value for key, value in lines.items() if value is not None})
        return JSONResponse(host.env())

    async def notified(self, request: Request) -> Response:
        """Where the on-call address leads: what was sent is kept and can be read."""
        if request.method == "POST":
            self.notifications.append(await request.json())
            return JSONResponse({"id": len(self.notifications)})
        return JSONResponse(self.notifications)

    async def down(self, request: Request) -> Response:
        host, asked = self._asked(request), Down.model_validate_json(await request.body() or b"{}")
        await host.down(asked.seconds, asked.mode, services=asked.services)
        return _told(host)

    async def up(self, request: Request) -> Response:
        host = self._asked(request)
        await host.up()
        return _told(host)

    async def cut(self, request: Request) -> Response:
        return JSONResponse({"cut": self._asked(request).ssh.cut()})

    async def host_key(self, request: Request) -> Response:
        host, asked = self._asked(request), HostKey.model_validate_json(await request.body() or b"{}")
        await host.ssh.use_key(None if asked.restore else asyncssh.generate_private_key("ssh-ed25519"))
        return _told(host)

    async def faults(self, request: Request) -> Response:
        faults = self._asked(request).engine.state.faults
        if request.method == "POST":
            faults.add(FaultRule.model_validate_json(await request.body()))
        elif request.method == "DELETE":
            faults.clear()
        return JSONResponse([rule.model_dump() for rule in faults.rules])

    def _asked(self, request: Request) -> SandboxHost:
        name = request.path_params["name"]
        if name not in self._hosts:
            raise HTTPException(404, f"no host {name}: there are {', '.join(self._hosts)}")
        return self._hosts[name]


def _told(host: SandboxHost) -> Response:
    return JSONResponse({"name": host.facts.name, "up": host.ssh.is_up})


async def _malformed(_: Request, error: Exception) -> Response:
    if not isinstance(error, ValidationError):
        raise error
    return JSONResponse({"errors": error.errors(include_url=False, include_context=False)}, 422)
