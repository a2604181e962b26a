"""The facts of a release, read back from the outside: from git, the forge, the engines, the service and the ledger."""

import base64
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import docker
import httpx

from deploy.demo.house import House, output_of
from deploy.sandbox.sandbox_facts import HostFacts

Json = dict[str, Any]


class Outside:
    """Looks that ask neither Temporal nor the worker."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._facts = house.facts
        self._token = house.secret(house.facts.forge.token_env)

    async def tags(self, version: str) -> dict[str, str]:
        """Refs of the version's tag as git lists them: the tag object and, peeled, its commit."""
        basic = base64.b64encode(f"{self._facts.forge.user}:{self._token}".encode()).decode()
        told = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        words = ["git", "ls-remote", "--tags", self._facts.forge.repository, f"v{version}", f"v{version}^{{}}"]
        lines = (await output_of(words, told)).splitlines()
        return {ref: sha for sha, ref in (line.split("\t") for line in lines)}

    async def forge(self, path: str, **query: str | int) -> Any:
        forge = self._facts.forge
        url = f"{forge.url}/api/v1/repos/{forge.owner}/{forge.name}/{path}"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(url, params=query, headers={"Authorization": f"token {self._token}"})
            return answer.raise_for_status().json()

    async def releases(self, version: str) -> list[Json]:
        return [each for each in await self._listed("releases") if each["tag_name"] == f"v{version}"]

    async def postmortems(self) -> list[Json]:
        issues = await self._listed("issues", state="all", type="issues")
        return [issue for issue in issues if any(label["name"] == "postmortem" for label in issue["labels"])]

    async def _listed(self, path: str, **query: str) -> list[Json]:
        """All pages of it."""
        found: list[Json] = []
        for page in itertools.count(1):
            listed = await self.forge(path, **query, page=page)
            if not listed:
                break
            found += listed
        return found

    async def answer(self, host: HostFacts) -> str:
        """The version that the service on this host says it is."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            return str((await client.get(f"{host.url}/version")).json()["version"])

    def running(self, host: HostFacts) -> list[Json]:
        """The containers that the host's own engine lists as running: name, image reference, labels."""
        engine = docker.APIClient(base_url=f"unix://{host.engine_socket}", version="auto")
        try:
            return [
                {"name": each["Names"][0].lstrip("/"), "image": each["Image"], "labels": each["Labels"]}
                for each in engine.containers()
            ]
        finally:
            engine.close()

    def started(self, host: HostFacts) -> str:
        """Since when the host's container runs, as its engine says it."""
        engine = docker.APIClient(base_url=f"unix://{host.engine_socket}", version="auto")
        try:
            return str(engine.inspect_container(engine.containers()[0]["Id"])["State"]["StartedAt"])
        finally:
            engine.close()

    def ledger(self) -> list[Json]:
        """All rows, oldest first."""
        with sqlite3.connect(f"file:{self.ledger_file()}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("select * from ledger order by seq")]

    def ledger_file(self) -> Path:
        return next(path for path in (self._house.root / "sandbox").rglob("ledger*.db"))
