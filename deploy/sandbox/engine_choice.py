"""Which engine the hosts get: the machine's real one where it can be used, local processes otherwise."""

import os
from pathlib import Path

import httpx

from deploy.sandbox.engine_http import local_client
from deploy.sandbox.images import find_busybox
from deploy.sandbox.settings import ENGINE_SOCKET, EngineChoice


class NoEngine(RuntimeError):
    """A real engine was asked for, and there is none that could be used."""


async def choose_engine(choice: EngineChoice, socket: Path | None = None) -> Path | None:
    """The socket of the machine's engine (`socket`, or where DOCKER_HOST says), or None for local processes."""
    if choice == "process":
        return None
    socket = socket or _socket()
    lacking = await _what_lacks(socket)
    if lacking and choice == "docker":
        raise NoEngine(f"wanted the machine's Docker engine for the hosts, but {lacking}; or use --engine process")
    return None if lacking else socket


async def _what_lacks(socket: Path) -> str:
    if find_busybox() is None:
        return "images for it need a static busybox: install busybox-static"
    try:
        async with local_client(timeout=2, uds=socket) as http:
            (await http.get("/_ping")).raise_for_status()
    except httpx.HTTPError as error:
        return f"nothing answers at {socket} ({error or type(error).__name__}): start it or set DOCKER_HOST=unix://…"
    return ""


def _socket() -> Path:
    scheme, _, path = os.environ.get("DOCKER_HOST", "").partition("://")
    return Path(path) if scheme == "unix" and path else Path(ENGINE_SOCKET)
