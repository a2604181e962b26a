"""Images in shapes that no pipeline of the sandbox builds: for several platforms, for another machine, or large."""

import gzip
import io
import json
import os
import struct
import tarfile

import httpx

from deploy.sandbox.images import Image, find_busybox
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry_answers import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from deploy.sandbox.registry_store import digest_of

AARCH64 = 183
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


def for_another_machine() -> Image:
    """An image of one program for 64-bit ARM; where that runs, for no machine that there is."""
    machine = AARCH64 if os.uname().machine != "aarch64" else 0
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0)
    )
    return _image({"service": header}, ["/service"], "arm64")


def large(megabytes: int) -> Image:
    """A layer that can't be made smaller, so that it takes its time and its room."""
    return _image({"ballast": os.urandom(megabytes * 1024 * 1024)}, ["/ballast"], "amd64")


def quick(version: str) -> Image:
    """A service that answers as fast as it is asked, and stops as soon as it is told to."""
    busybox = find_busybox()
    assert busybox
    answers = {"health": {"status": "ok"}, "version": {"version": f"v{version}"}}
    files = {f"www/{name}": json.dumps(answer).encode() for name, answer in answers.items()}
    serve = "/busybox httpd -f -p 8080 -h /www & child=$!; trap 'kill $child; exit 0' TERM; wait $child"
    return _image({**files, "busybox": busybox.read_bytes()}, ["/busybox", "sh", "-c", serve], "amd64")


async def push_list(registry: str, name: str, tag: str, images: dict[str, Image], *, oci: bool) -> str:
    """A list of images, by architecture, under one tag; its digest."""
    for architecture, image in images.items():
        await push_image(registry, name, image, [f"{tag}-{architecture}"])
    kind = OCI_INDEX if oci else DOCKER_LIST
    entries = [
        {
            "mediaType": image.media_type,
            "size": len(image.manifest),
            "digest": image.digest,
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for architecture, image in images.items()
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"http://{registry}/v2/{name}/manifests/{tag}"
        (await http.put(url, content=content, headers={"Content-Type": kind})).raise_for_status()
    return digest_of(content)


def _image(files: dict[str, bytes], program: list[str], architecture: str) -> Image:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    tarred = buffer.getvalue()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": program},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tarred)]},
    }
    return _assembled(json.dumps(config).encode(), gzip.compress(tarred, compresslevel=1, mtime=0))


def _assembled(config: bytes, layer: bytes) -> Image:
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(config), "digest": digest_of(config)},
        "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": digest_of(layer)}],
    }
    return Image(json.dumps(document).encode(), DOCKER_MANIFEST, config, layer)
