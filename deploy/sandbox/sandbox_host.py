"""One host of the sandbox: its engine behind a socket, its SSH door, its files, and what is true of it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from deploy.sandbox.engine_client import EngineClient
from deploy.sandbox.engine_http import local_client
from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.hosts import Host, Outage
from deploy.sandbox.sandbox_facts import HostFacts
from deploy.sandbox.serving import Served, serve


class SandboxHost:
    """`engine` is the app served on the host's socket."""

    def __init__(self, facts: HostFacts, ssh: Host, engine: Starlette) -> None:
        self.facts = facts
        self.ssh = ssh
        self.engine = engine
        self._served: Served | None = None

    async def start(self) -> None:
        socket = self.facts.engine_socket
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._served = await serve(self.engine, uds=socket)
        await self.ssh.start()

    async def close(self) -> None:
        await self.ssh.close()
        if self._served:
            await self._served.close()
        self.facts.engine_socket.unlink(missing_ok=True)
        # The folder of sockets with too long a path; any other one is not empty.
        with contextlib.suppress(OSError):
            self.facts.engine_socket.parent.rmdir()

    def client(self) -> EngineClient:
        return EngineClient(self.facts.engine_socket)

    async def down(self, seconds: float | None, mode: Outage, *, services: bool) -> None:
        """`services` takes the published ports away too; SSH alone otherwise."""
        if services:
            self._set_reachable(reachable=False)
        await self.ssh.down(seconds, mode, and_then=lambda: self._set_reachable(reachable=True))

    async def up(self) -> None:
        self._set_reachable(reachable=True)
        await self.ssh.up()

    def write_env(self, lines: dict[str, str]) -> None:
        self.facts.env_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.facts.env_file, "".join(f"{key}={value}\n" for key, value in lines.items()).encode(), 0o600)

    def env(self) -> dict[str, str]:
        return read_env(self.facts.env_file)

    async def state(self) -> dict[str, Any]:
        """What is really there, read from outside: containers, images, and what the service answers."""
        async with self.client() as engine, local_client(timeout=2) as http:
            containers, images, health, version = await asyncio.gather(
                engine.containers(),
                engine.images(),
                _answer(http, f"{self.facts.url}/health"),
                _answer(http, f"{self.facts.url}/version"),
            )
        digests = {image["Id"]: image["RepoDigests"] or [] for image in images}
        return {
            "role": self.facts.role,
            "address": self.facts.address,
            "up": self.ssh.is_up,
            "connections": self.ssh.connections,
            "containers": [_container(each, digests) for each in containers],
            "health": health,
            "version": version,
        }

    def _set_reachable(self, *, reachable: bool) -> None:
        runner = getattr(self.engine.state, "runner", None)
        if runner is not None:
            runner.set_reachable(reachable=reachable)


def read_env(path: Path) -> dict[str, str]:
    """Docker's form of env file: a line each, nothing quoted."""
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _container(inspected: dict[str, Any], digests: dict[str, list[str]]) -> dict[str, Any]:
    state = inspected["State"]
    return {
        "id": inspected["Id"],
        "name": inspected["Name"].removeprefix("/"),
        "status": state["Status"],
        "running": state["Running"],
        "pid": state["Pid"],
        "exit_code": state["ExitCode"],
        "error": state["Error"],
        "started_at": state["StartedAt"],
        "restarts": inspected["RestartCount"],
        "image": inspected["Config"]["Image"],
        "image_id": inspected["Image"],
        "digests": sorted({name.partition("@")[2] for name in digests.get(inspected["Image"], [])}),
        "labels": inspected["Config"]["Labels"] or {},
        "restart_policy": inspected["HostConfig"]["RestartPolicy"]["Name"],
        "ports": inspected["NetworkSettings"]["Ports"],
    }


async def _answer(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """`status` 0 when nothing answered, with the reason as `error`."""
    try:
        answer = await http.get(url)
    except httpx.HTTPError as error:
        return {"status": 0, "error": str(error) or type(error).__name__}
    try:
        return {"status": answer.status_code, "body": answer.json()}
    except ValueError:
        return {"status": answer.status_code, "body": answer.text}
