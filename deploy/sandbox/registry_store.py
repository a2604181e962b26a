"""Blobs, manifests and tags of the registry, as files."""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
NAME = re.compile(r"^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$")
TAG = re.compile(r"^\w[\w.-]{0,127}$", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    digest: str
    media_type: str
    body: bytes


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class RegistryStore:
    """`blobs/<hex>` is shared; `repositories/<name>/` links blobs, types manifests and points tags."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("blobs", "uploads", "repositories"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def blob(self, name: str, digest: str) -> Path | None:
        """The file of a blob that `name` holds."""
        if not DIGEST.match(digest) or not self._link(name, "blobs", digest).exists():
            return None
        return self._blob_path(digest)

    def put_blob(self, name: str, data: Path | bytes, digest: str) -> bool:
        """Files the data under its digest; false (and nothing kept) when it has another one."""
        body = data if isinstance(data, bytes) else data.read_bytes()
        if digest_of(body) != digest:
            return False
        _write(self._blob_path(digest), body)
        _write(self._link(name, "blobs", digest), b"")
        return True

    def mount(self, name: str, source: str, digest: str) -> bool:
        if not NAME.match(source) or self.blob(source, digest) is None:
            return False
        _write(self._link(name, "blobs", digest), b"")
        return True

    def manifest(self, name: str, reference: str) -> Manifest | None:
        """By digest or tag."""
        digest = reference if ":" in reference else self.tags(name).get(reference, "")
        if not DIGEST.match(digest) or not (link := self._link(name, "manifests", digest)).exists():
            return None
        return Manifest(digest, link.read_text(), self._blob_path(digest).read_bytes())

    def put_manifest(self, name: str, body: bytes, media_type: str, tag: str | None) -> str:
        digest = digest_of(body)
        _write(self._blob_path(digest), body)
        _write(self._link(name, "manifests", digest), media_type.encode())
        if tag:
            self.move_tag(name, tag, digest)
        return digest

    def delete_manifest(self, name: str, digest: str) -> None:
        self._link(name, "manifests", digest).unlink()
        for tag, target in self.tags(name).items():
            if target == digest:
                (self._repository(name) / "tags" / tag).unlink()

    def move_tag(self, name: str, tag: str, digest: str) -> None:
        """Points `tag` at a manifest that is here; tags are mutable, as in any registry."""
        if not DIGEST.match(digest) or not self._link(name, "manifests", digest).exists():
            raise LookupError(
                f"wanted tag {tag} of {name} on {digest}, which {name} has no manifest for; push it first"
            )
        _write(self._repository(name) / "tags" / tag, digest.encode())

    def tags(self, name: str) -> dict[str, str]:
        """Tag to digest."""
        folder = self._repository(name) / "tags"
        return {path.name: path.read_text() for path in sorted(folder.iterdir())} if folder.is_dir() else {}

    def knows(self, name: str) -> bool:
        return (self._repository(name) / "manifests").is_dir()

    def missing_parts(self, name: str, body: bytes) -> list[str]:
        """The digests a manifest speaks of that this repository does not hold."""
        document = json.loads(body)
        blobs = [layer["digest"] for layer in [*document.get("layers", []), document.get("config")] if layer]
        children = [child["digest"] for child in document.get("manifests", [])]
        return [d for d in blobs if self.blob(name, d) is None] + [
            d for d in children if self.manifest(name, d) is None
        ]

    def start_upload(self) -> str:
        ident = str(uuid.uuid4())
        self.upload(ident).touch()
        return ident

    def upload(self, ident: str) -> Path:
        return self.root / "uploads" / str(uuid.UUID(ident))

    def _blob_path(self, digest: str) -> Path:
        return self.root / "blobs" / digest.removeprefix("sha256:")

    def _link(self, name: str, kind: str, digest: str) -> Path:
        return self._repository(name) / kind / digest.removeprefix("sha256:")

    def _repository(self, name: str) -> Path:
        # One folder a repository, so that "acme/tags" can't be mistaken for a part of "acme".
        return self.root / "repositories" / name.replace("/", "%")


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    draft.write_bytes(body)
    draft.replace(path)
