"""The sandbox's own look at a host's engine, over its UNIX socket, whichever engine it is."""

import base64
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.sandbox.engine_http import local_client
from deploy.sandbox.engine_paths import DIRECT


class EngineClient:
    """No fault of the engine hits it. Errors are httpx's; a pull that breaks half-way raises RuntimeError."""

    def __init__(self, socket: Path) -> None:
        self._http = local_client(timeout=60, uds=socket, below=DIRECT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def containers(self) -> list[dict[str, Any]]:
        """Every container, inspected; one that goes away meanwhile is left out."""
        listed = await self._get("/containers/json", all="1")
        found = []
        for each in listed:
            answer = await self._http.get(f"/containers/{each['Id']}/json")
            if answer.status_code != 404:
                found.append(answer.raise_for_status().json())
        return found

    async def images(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._get("/images/json")
        return found

    async def pull(self, repository: str, tag: str, user: str, password: str) -> None:
        auth = base64.urlsafe_b64encode(json.dumps({"username": user, "password": password}).encode()).decode()
        query = {"fromImage": repository, "tag": tag}
        answer = await self._http.post("/images/create", params=query, headers={"X-Registry-Auth": auth})
        if answer.is_error or "errorDetail" in answer.text:
            raise RuntimeError(f"the engine did not pull {repository}:{tag}: {answer.text.strip()[-300:]}")

    async def run(self, name: str, body: dict[str, Any]) -> str:
        """Creates and starts; the container's id."""
        answer = await self._http.post("/containers/create", params={"name": name}, json=body)
        identity: str = answer.raise_for_status().json()["Id"]
        (await self._http.post(f"/containers/{identity}/start")).raise_for_status()
        return identity

    async def _get(self, path: str, **query: str) -> Any:
        return (await self._http.get(path, params=query)).raise_for_status().json()
