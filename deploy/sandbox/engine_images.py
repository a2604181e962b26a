"""The images of one host: pulled from a registry, kept on disk, found by tag, digest or id."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter

from deploy.sandbox.engine_errors import EngineError, no_such_image
from deploy.sandbox.engine_layers import unpack
from deploy.sandbox.engine_reference import ImageReference, is_digest
from deploy.sandbox.engine_registry import RegistryPull
from deploy.sandbox.engine_store import write_whole


class Image(BaseModel):
    """`id` is the digest of the image's configuration, never of its manifest."""

    id: str
    tags: list[str] = Field(default_factory=list)
    digests: list[str] = Field(default_factory=list)
    created: str = "0001-01-01T00:00:00Z"
    architecture: str = "amd64"
    os: str = "linux"
    size: int = 0
    config: dict[str, Any] = Field(default_factory=dict)
    layers: list[str] = Field(default_factory=list)


_INDEX = TypeAdapter(dict[str, Image])


class Images:
    """`folder` holds `images.json` and one unpacked file system an image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = folder / "images.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._images = _INDEX.validate_json(self._index.read_bytes()) if self._index.exists() else {}

    def all(self) -> list[Image]:
        return list(self._images.values())

    def rootfs(self, image: Image) -> Path:
        return self._folder / image.id.removeprefix("sha256:")

    def find(self, text: str) -> Image:
        """By id or its beginning, by tag, by digest; an EngineError 404 where there is none."""
        short = text.removeprefix("sha256:")
        for image in self._images.values():
            if len(short) >= 4 and image.id.removeprefix("sha256:").startswith(short):
                return image
        try:
            reference = ImageReference.parse(text)
        except EngineError:
            raise no_such_image(text) from None
        for image in self._images.values():
            if str(reference) in (image.digests if reference.digest else image.tags):
                return image
        raise no_such_image(text)

    async def pull(self, reference: ImageReference, auth: str | None) -> AsyncIterator[dict[str, Any]]:
        """The progress of a pull, as Docker streams it; refusals before the first line raise EngineError."""
        async with RegistryPull(reference, auth) as registry:
            digest, manifest = await registry.manifest(reference.wanted)
            yield {"status": f"Pulling from {reference.path}", "id": reference.wanted}
            if "manifests" in manifest:
                _, manifest = await registry.manifest(_for_this_machine(manifest)["digest"])
            identity = manifest["config"]["digest"]
            known = identity in self._images
            if not known:
                async for line in self._fetch(registry, identity, manifest):
                    yield line
        self._refer(identity, reference, digest)
        yield {"status": f"Digest: {digest}"}
        outcome = "Image is up to date" if known else "Downloaded newer image"
        yield {"status": f"Status: {outcome} for {reference}"}

    async def _fetch(
        self, registry: RegistryPull, identity: str, manifest: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        layers = []
        for layer in manifest["layers"]:
            short = layer["digest"].removeprefix("sha256:")[:12]
            yield {"status": "Pulling fs layer", "progressDetail": {}, "id": short}
            layers.append(await registry.blob(layer["digest"]))
            yield {"status": "Pull complete", "progressDetail": {}, "id": short}
        described = json.loads(await registry.blob(identity))
        image = Image(
            id=identity,
            created=described.get("created") or "0001-01-01T00:00:00Z",
            architecture=described.get("architecture", "amd64"),
            os=described.get("os", "linux"),
            size=sum(len(layer) for layer in layers),
            config=described.get("config") or {},
            layers=(described.get("rootfs") or {}).get("diff_ids") or [],
        )
        await asyncio.to_thread(unpack, layers, self.rootfs(image))
        self._images.setdefault(identity, image)

    def _refer(self, identity: str, reference: ImageReference, digest: str) -> None:
        image = self._images[identity]
        pinned = f"{reference.repository}@{digest}"
        if pinned not in image.digests:
            image.digests.append(pinned)
        if reference.tag:
            self.tag(image, reference)
        self._save()

    def tag(self, image: Image, reference: ImageReference) -> None:
        """Moves the tag: it names one image at a time."""
        for other in self._images.values():
            if str(reference) in other.tags:
                other.tags.remove(str(reference))
        image.tags.append(str(reference))
        self._save()

    def remove(self, text: str, *, force: bool, used_by: str | None) -> list[dict[str, str]]:
        """What was untagged and deleted; `used_by` is a container that stands on the image."""
        image = self.find(text)
        untagged = self._names_to_drop(image, text, force=force)
        last = set(untagged) == {*image.tags, *image.digests}
        if last and used_by:
            raise EngineError(
                409,
                f'conflict: unable to remove repository reference "{text}" (must force) - container '
                f"{used_by[:12]} is using its referenced image {image.id.removeprefix('sha256:')[:12]}",
            )
        image.tags = [name for name in image.tags if name not in untagged]
        image.digests = [name for name in image.digests if name not in untagged]
        if last:
            del self._images[image.id]
            shutil.rmtree(self.rootfs(image), ignore_errors=True)
        self._save()
        return [{"Untagged": name} for name in untagged] + ([{"Deleted": image.id}] if last else [])

    def _names_to_drop(self, image: Image, text: str, *, force: bool) -> list[str]:
        names = [*image.tags, *image.digests]
        named = text in names or f"{text}:latest" in names
        if not named:
            if len(image.tags) > 1 and not force:
                short = image.id.removeprefix("sha256:")[:12]
                raise EngineError(
                    409,
                    f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
                )
            return names
        name = text if text in names else f"{text}:latest"
        if is_digest(name.partition("@")[2]) or len(image.tags) > 1:
            return [name]
        repository = ImageReference.parse(name).repository
        return [name, *(pinned for pinned in image.digests if pinned.startswith(repository + "@"))]

    def _save(self) -> None:
        write_whole(self._index, _INDEX.dump_json(self._images))


def _for_this_machine(index: dict[str, Any]) -> dict[str, Any]:
    children: list[dict[str, Any]] = index["manifests"]
    for child in children:
        platform = child.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == "amd64":
            return child
    raise EngineError(404, "no matching manifest for linux/amd64 in the manifest list entries")
