"""Versions of the shop: committed on request, and the one that runs everywhere before anything is released."""

import asyncio
import json
import time
from typing import Any

from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.forge_core import Forge
from deploy.sandbox.pipeline_build import BRANCH, MANIFEST
from deploy.sandbox.pipeline_settings import PipelineSettings
from deploy.sandbox.sandbox_admin import Version
from deploy.sandbox.sandbox_host import SandboxHost
from deploy.sandbox.sandbox_place import Place
from deploy.sandbox.sandbox_project import container_name
from deploy.sandbox.settings import REPOSITORY, Layout
from deploy.sandbox.shop import Shop

BUILD_SECONDS, LOOK_SECONDS = 30, 0.02


class Versions:
    """`forge` and `hosts` are running; `place` has the secrets."""

    def __init__(self, layout: Layout, place: Place, forge: Forge, url: str, hosts: list[SandboxHost]) -> None:
        self._layout = layout
        self._place = place
        self._forge = forge
        self._hosts = hosts
        self._shop = Shop(layout.root / "checkout", url, place.forge_token, REPOSITORY)
        # One checkout: two versions at once would commit each other's files.
        self._committing = asyncio.Lock()
        self._change_pipeline(kinds=self._kinds())

    async def publish(self, asked: Version) -> dict[str, Any]:
        """Commits the version to main, as its developers would; a release then tags it."""
        async with self._committing:
            kinds = {**self._kinds(), asked.version: asked.kind}
            write_whole(self._layout.kinds, json.dumps(kinds, indent=2).encode())
            self._change_pipeline(kinds=kinds, fail_first=asked.fail_first)
            await self._shop.create()
            sha = await self._shop.commit_version(asked.version, changelog=asked.changelog, green=asked.green)
        return {"version": asked.version, "commit": sha, "kind": asked.kind}

    async def settle(self, version: str | None) -> None:
        """Once for the repository, and once for every host: `version` built and running there, as if by hand."""
        if self._layout.baseline.exists():
            settled: dict[str, Any] = json.loads(self._layout.baseline.read_text())
        else:
            settled = {"version": version, "digest": await self._begin(version), "hosts": []}
        new = [host for host in self._hosts if host.facts.name not in settled["hosts"]]
        if settled["version"]:
            await asyncio.gather(*(self._run(host, settled["version"]) for host in new))
        settled["hosts"] += [host.facts.name for host in new]
        write_whole(self._layout.baseline, json.dumps(settled, indent=2).encode())

    async def _begin(self, version: str | None) -> str | None:
        """The digest of `version`; without one there is only the repository, with nothing released."""
        if version is not None:
            return await self._build_by_hand(version)
        async with self._committing:
            await self._shop.create()
        return None

    async def _build_by_hand(self, version: str) -> str:
        patient = self._pipeline
        self._change_pipeline(appears_after=0, queued_for=0, takes=0, mode="normal", fail_first=0)
        try:
            commit = (await self.publish(Version(version=version)))["commit"]
            repository = self._forge.repositories[REPOSITORY]
            if await repository.ref(f"refs/tags/v{version}") is None:
                await self._shop.push_tag(version, commit)
            return await self._built(version)
        finally:
            self._forge.pipeline.settings = patient

    async def _built(self, version: str) -> str:
        """The digest that the pipeline recorded."""
        deadline = time.monotonic() + BUILD_SECONDS
        while time.monotonic() < deadline:
            held = await self._forge.repositories[REPOSITORY].read(f"refs/heads/{BRANCH}", MANIFEST)
            for line in (held or b"").decode().splitlines():
                if line.split()[:1] == [f"v{version}"]:
                    return line.split()[-1]
            await asyncio.sleep(LOOK_SECONDS)
        raise RuntimeError(
            f"wanted v{version} in {MANIFEST} of branch {BRANCH} within {BUILD_SECONDS} s, found none: "
            f"the pipeline's log is in the forge under {REPOSITORY}"
        )

    async def _run(self, host: SandboxHost, version: str) -> None:
        """As the runbook's `docker run` does it: named, published, restarted unless stopped, without labels."""
        name, repository = container_name(host.facts.role), f"{self._place.registry}/{REPOSITORY}"
        body = {
            "Image": f"{repository}:v{version}",
            "Env": [f"{key}={value}" for key, value in host.env().items()],
            "HostConfig": {
                "PortBindings": {"8080/tcp": [{"HostPort": str(host.facts.port)}]},
                "RestartPolicy": {"Name": "unless-stopped"},
            },
        }
        async with host.client() as engine:
            if f"/{name}" not in [each["Name"] for each in await engine.containers()]:
                user, password = self._forge.settings.user, self._place.registry_password
                await engine.pull(repository, f"v{version}", user, password)
                await engine.run(name, body)

    @property
    def _pipeline(self) -> PipelineSettings:
        return self._forge.pipeline.settings

    def _change_pipeline(self, **changes: Any) -> None:
        self._forge.pipeline.settings = PipelineSettings.model_validate({**self._pipeline.model_dump(), **changes})

    def _kinds(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._layout.kinds.read_text()) if self._layout.kinds.exists() else {}
        return found
