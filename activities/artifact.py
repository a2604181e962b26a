"""The image: credentials that are worth something, and one digest wherever the version or its commit is named."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from activities.binding import performs
from activities.clients.engine_container import LocalImage
from activities.clients.engine_errors import Moved
from activities.errors import Refused, Unreachable
from activities.hosted_service import HostEngine
from runbook import steps
from runbook.artifact import ArtifactToVerify, CredentialsToProve, ProvenCredentials, VerifiedArtifact
from runbook.artifact_table import ArtifactTable
from runbook.identifier import tag_of
from runbook.image import Image
from runbook.project import EnvironmentTable
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
    """The version's digest by manifest and registry, what a host pulled by the same tag, and the digest of the commit's tag.

    `commit_tag` and `of_commit` are empty where the commit's tag is not looked at.
    """

    image: Image
    recorded: str
    pulled: LocalImage
    commit_tag: str
    of_commit: str

    @property
    def agrees(self) -> bool:
        return self.is_one_image and (not self.commit_tag or self.of_commit == self.image.digest)

    @property
    def is_one_image(self) -> bool:
        """Whichever commit it was built from."""
        return self.recorded == self.image.digest and self.image.pinned in self.pulled.digests

    @property
    def told(self) -> list[str]:
        own = [name for name in self.pulled.digests if name.startswith(f"{self.image.repository}@")]
        return [
            f"manifest: {self.recorded}",
            f"registry: {self.image.digest}",
            f"pulled: {', '.join(name.partition('@')[2] for name in own) or 'no digest'}",
            f"commit tag {self.commit_tag}: {self.of_commit}" if self.commit_tag else "commit tag: not looked at",
        ]

    @property
    def places(self) -> str:
        return "by manifest, by registry, by commit" if self.commit_tag else "by manifest, by registry"

    @property
    def advice(self) -> str:
        if self.is_one_image:
            return (
                f"{self.image.tag} was not built from that commit, or each tag by a build of its own: have the pipeline "
                "push both from one build of the commit; artifact.commit_tag says which tag is the commit's"
            )
        return "find out who pushed the tag again; a digest that the manifest does not have is not promoted"


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
        """All agree, or are read once more before that is refused."""
        reading = await self._read(order)
        if not reading.agrees:
            reading = await self._read(order)
        image = reading.image
        if not reading.agrees:
            raise Refused(
                f"the digests of {image.repository}:{image.tag} differ: {', '.join(reading.told)} (by {order.host}): "
                f"{reading.advice}",
                cause=Cause.DIGEST_MISMATCH,
                evidence=reading.told,
            )
        return VerifiedArtifact(
            summary=f"{image.tag} is {image.digest} {reading.places} and on {order.host}"[:149],
            evidence=[image.reference, *reading.told, f"created: {reading.pulled.created}"],
            image=image,
            created=reading.pulled.created,
        )

    async def _read(self, order: ArtifactToVerify) -> _Reading:
        artifact, tag = order.artifact, tag_of(order.version)
        # All are waited for: none goes on behind a failed attempt's back.
        recording = asyncio.ensure_future(self._manifests.digest(order))
        registering = asyncio.ensure_future(self._registry.digest(artifact, tag))
        pulling = asyncio.ensure_future(self._pulled(order, tag))
        building = asyncio.ensure_future(self._of_commit(order))
        await asyncio.gather(recording, registering, pulling, building, return_exceptions=True)
        recorded, registered, pulled = recording.result(), registering.result(), pulling.result()
        image = Image(registry=artifact.registry, name=artifact.image, version=order.version, digest=registered)
        return _Reading(image, recorded, pulled, order.commit_tag, building.result())

    async def _pulled(self, order: ArtifactToVerify, tag: str) -> LocalImage:
        """By tag, so that the engine finds out for itself which image that is."""
        engine = await self._engines.engine(order.environment, order.host)
        repository = f"{order.artifact.registry}/{order.artifact.image}"
        await engine.pull(repository, tag, order.artifact.credentials)
        image = await engine.image(f"{repository}:{tag}")
        if image is None:
            raise Moved(f"{order.host} pulled {repository}:{tag} and lost it at once; pulled again")
        return image

    async def _of_commit(self, order: ArtifactToVerify) -> str:
        """The digest of the commit's tag; empty where that is not looked at."""
        if not order.commit_tag:
            return ""
        artifact = order.artifact
        try:
            return await self._registry.digest(artifact, order.commit_tag)
        except Unreachable as error:
            if error.cause is not Cause.DIGEST_UNKNOWN:
                raise
            raise Unreachable(
                f"registry {artifact.registry} has no {artifact.image}:{order.commit_tag}, the tag of the release's commit: "
                f'have the pipeline push it beside {tag_of(order.version)}, or set artifact.commit_tag = "" in the project\'s '
                "file, abort and start again",
                cause=Cause.DIGEST_UNKNOWN,
                evidence=error.evidence,
            ) from None
