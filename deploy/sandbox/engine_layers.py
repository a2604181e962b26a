"""Layers of an image, unpacked one over the other into one folder."""

import io
import shutil
import tarfile
import uuid
from pathlib import Path

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def unpack(layers: list[bytes], into: Path) -> None:
    """Unpacks beside `into` and renames, so that a folder that exists is a whole one."""
    draft = into.with_name(f"{into.name}.{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    for layer in layers:
        _unpack_one(layer, draft)
    if into.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(into)


def copy_whole(source: Path, target: Path) -> None:
    """A container's own copy; `target` appears at once or not at all."""
    draft = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    shutil.copytree(source, draft, symlinks=True)
    draft.rename(target)


def _unpack_one(layer: bytes, into: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:*") as archive:
        for member in archive:
            path = Path(member.name)
            if path.name == _OPAQUE:
                _empty(into / path.parent)
            elif path.name.startswith(_WHITEOUT):
                _remove(into / path.parent / path.name.removeprefix(_WHITEOUT))
            elif not member.isdev():
                archive.extract(member, into, filter="tar")


def _empty(folder: Path) -> None:
    for entry in folder.iterdir() if folder.is_dir() else ():
        _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
