"""Images of the demo service: built in memory, the same bytes for the same input."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.sandbox.registry_answers import DOCKER_MANIFEST, OCI_MANIFEST
from deploy.sandbox.registry_store import digest_of

Runtime = Literal["process", "busybox"]
ImageKind = Literal["good", "crash_loop", "exits_at_once", "unhealthy", "wrong_version", "slow_start"]
Format = Literal["docker", "oci"]

APP = Path(__file__).parent / "shop" / "app"
SECONDS = {"crash_loop": 0.3, "slow_start": 3.0}
APPLETS = ("sh", "nc", "sleep", "cat", "kill", "printf", "ls", "ps", "wget", "echo", "true", "false")
Files = dict[str, tuple[bytes, int]]


@dataclass(frozen=True)
class Image:
    """`digest` is the registry's; `image_id` (the config's digest) is what an engine calls Id, and another one."""

    manifest: bytes
    media_type: str
    config: bytes
    layer: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def image_id(self) -> str:
        return digest_of(self.config)


def build_image(
    version: str,
    *,
    kind: ImageKind = "good",
    runtime: Runtime = "process",
    shape: Format = "docker",
    seconds: float | None = None,
    revision: str = "",
    build: str = "",
) -> Image:
    """The image of `version` ("1.0.0" or "v1.0.0").

    `seconds` is how long slow_start sleeps (3) and crash_loop lives (0.3). `revision` is the commit; another
    `build` makes another digest of the same content, as a rebuild does.
    """
    tag = "v" + version.removeprefix("v")
    held = SECONDS.get(kind, 0.0) if seconds is None else seconds
    release = f"version={tag}\nkind={kind}\nseconds={held}\nbuild={build}\n".encode()
    files, entrypoint, links = _busybox_files() if runtime == "busybox" else _process_files()
    tar = _tar({**files, "app/release": (release, 0o644)}, links)
    layer = gzip.compress(tar, mtime=0)
    labels = {
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.version": tag,
        "org.opencontainers.image.revision": revision,
    }
    config = _json(_config(entrypoint, labels, digest_of(tar)))
    return _assemble(config, layer, shape)


def find_busybox() -> Path | None:
    """The machine's busybox, if it is a static one."""
    found = shutil.which("busybox")
    if found is None:
        return None
    told = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
    return Path(found) if told.returncode != 0 else None


def _process_files() -> tuple[Files, list[str], dict[str, str]]:
    files = {"app/service.py": ((APP / "service.py").read_bytes(), 0o644)}
    return files, ["python3", "-I", "-S", "app/service.py"], {}


def _busybox_files() -> tuple[Files, list[str], dict[str, str]]:
    busybox = find_busybox()
    if busybox is None:
        raise RuntimeError(
            "wanted a static busybox for the image, found none; install busybox-static or use runtime process"
        )
    files = {
        "bin/busybox": (busybox.read_bytes(), 0o755),
        "app/service.sh": ((APP / "service.sh").read_bytes(), 0o644),
        "app/answer.sh": ((APP / "answer.sh").read_bytes(), 0o755),
    }
    return files, ["/bin/sh", "/app/service.sh"], {f"bin/{applet}": "busybox" for applet in APPLETS}


def _config(entrypoint: list[str], labels: dict[str, str], diff_id: str) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {
            "Entrypoint": entrypoint,
            "Cmd": None,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": labels,
            "StopSignal": "SIGTERM",
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "the sandbox's pipeline"}],
    }


def _assemble(config: bytes, layer: bytes, shape: Format) -> Image:
    oci = shape == "oci"
    kind = "application/vnd.oci.image.{}+json" if oci else "application/vnd.docker.container.image.{}+json"
    layer_type = (
        "application/vnd.oci.image.layer.v1.tar+gzip" if oci else "application/vnd.docker.image.rootfs.diff.tar.gzip"
    )
    media_type = OCI_MANIFEST if oci else DOCKER_MANIFEST
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": kind.format("config.v1" if oci else "v1"),
            "size": len(config),
            "digest": digest_of(config),
        },
        "layers": [{"mediaType": layer_type, "size": len(layer), "digest": digest_of(layer)}],
    }
    return Image(_json(document), media_type, config, layer)


def _tar(files: Files, links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folders = sorted({path.split("/")[0] for path in files})
        for folder in folders:
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o755))
        for path, (content, mode) in sorted(files.items()):
            entry = _entry(path, tarfile.REGTYPE, mode)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for path, target in sorted(links.items()):
            entry = _entry(path, tarfile.SYMTYPE, 0o777)
            entry.linkname = target
            tar.addfile(entry)
    return buffer.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
