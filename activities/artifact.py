"""The image: credentials that are worth something, and one digest in three places."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from activities.binding import performs
from activities.clients.engine_container import LocalImage
from activities.clients.engine_errors import Moved
from activities.errors import Refused
from activities.hosted_service import HostEngine
from runbook import steps
from runbook.artifact import ArtifactToVerify, CredentialsToProve, ProvenCredentials, VerifiedArtifact
from runbook.identifier import tag_of
from runbook.image import Image
from runbook.project import ArtifactTable, EnvironmentTable
from runbook.trouble import Cause


class Registry(Protocol):
    async def digest(self, artifact: ArtifactTable, tag: str) -> str: ...
    async def prove(self, artifact: ArtifactTable, tag: str) -> str: ...


class Manifests(Protocol):
    """Where the pipeline recorded digests."""

    async def digest(self, order: ArtifactToVerify) -> str: ...


class Engines(Protocol):
    async def engine(self, environment: EnvironmentTable, host: str) -> HostEngine: ...


@dataclass(frozen=True)
class _Reading:
    """The version's digest by manifest and registry, and the image that a host pulled by the same tag."""

    image: Image
    recorded: str
    pulled: LocalImage

    @property
    def agrees(self) -> bool:
        return self.recorded == self.image.digest and self.image.pinned in self.pulled.digests

    @property
    def told(self) -> list[str]:
        own = [name for name in self.pulled.digests if name.startswith(f"{self.image.repository}@")]
        return [
            f"manifest: {self.recorded}",
            f"registry: {self.image.digest}",
            f"pulled: {', '.join(name.partition('@')[2] for name in own) or 'no digest'}",
        ]


class ArtifactActivities:
    def __init__(self, registry: Registry, manifests: Manifests, engines: Engines) -> None:
        self._registry = registry
        self._manifests = manifests
        self._engines = engines

    @performs(steps.CREDENTIALS)
    async def prove_credentials(self, order: CredentialsToProve) -> ProvenCredentials:
        """The version's tag is asked for; that it is not there yet proves as much."""
        said = await self._registry.prove(order.artifact, tag_of(order.ref.version))
        repository = f"{order.artifact.registry}/{order.artifact.image}"
        return ProvenCredentials(summary=said[:149], evidence=[said], repository=repository)

    @performs(steps.VERIFY_ARTIFACT)
    async def verify(self, order: ArtifactToVerify) -> VerifiedArtifact:
        """All three agree, or are read once more before that is refused."""
        reading = await self._read(order)
        if not reading.agrees:
            reading = await self._read(order)
        image = reading.image
        if not reading.agrees:
            raise Refused(
                f"the digests of {image.repository}:{image.tag} differ: {', '.join(reading.told)} (by {order.host}): "
                "find out who pushed the tag again; a digest that the manifest does not have is not promoted",
                cause=Cause.DIGEST_MISMATCH,
                evidence=reading.told,
            )
        return VerifiedArtifact(
            summary=f"{image.tag} is {image.digest} by manifest, by registry and on {order.host}"[:149],
            evidence=[image.reference, *reading.told, f"created: {reading.pulled.created}"],
            image=image,
            created=reading.pulled.created,
        )

    async def _read(self, order: ArtifactToVerify) -> _Reading:
        artifact, tag = order.artifact, tag_of(order.version)
        # All three are waited for: none goes on behind a failed attempt's back.
        recording = asyncio.ensure_future(self._manifests.digest(order))
        registering = asyncio.ensure_future(self._registry.digest(artifact, tag))
        pulling = asyncio.ensure_future(self._pulled(order, tag))
        await asyncio.gather(recording, registering, pulling, return_exceptions=True)
        recorded, registered, pulled = recording.result(), registering.result(), pulling.result()
        image = Image(registry=artifact.registry, name=artifact.image, version=order.version, digest=registered)
        return _Reading(image, recorded, pulled)

    async def _pulled(self, order: ArtifactToVerify, tag: str) -> LocalImage:
        """By tag, so that the engine finds out for itself which image that is."""
        engine = await self._engines.engine(order.environment, order.host)
        repository = f"{order.artifact.registry}/{order.artifact.image}"
        await engine.pull(repository, tag, order.artifact.credentials)
        image = await engine.image(f"{repository}:{tag}")
        if image is None:
            raise Moved(f"{order.host} pulled {repository}:{tag} and lost it at once; pulled again")
        return image
