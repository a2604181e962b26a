"""The folder that a house stands in: one house at a time, and only what an earlier one left there is ever removed."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Generator
from pathlib import Path

_MARK = "demo.lock"


class NoGround(RuntimeError):
    """The folder is somebody else's, or a house stands there."""


@contextlib.contextmanager
def ground(root: Path) -> Generator[None]:
    """The folder, emptied, and held until the end of the block or of this process, however that ends.

    Raises:
        NoGround: it is not ours to use.
    """
    with _usable():
        _refuse_what_is_not_ours(root)
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root / _MARK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        with _usable():
            _take(lock, root)
            _clear(root)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _usable() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise NoGround(f"{error.filename} can't be used ({error.strerror}): give --root another folder") from None


def _refuse_what_is_not_ours(root: Path) -> None:
    if root.exists() and not (root / _MARK).is_file() and any(root.iterdir()):
        raise NoGround(
            f"wanted an empty folder or one of an earlier demo, but {root} holds something else (no {_MARK}): "
            "remove it yourself, or give --root another folder"
        )


def _take(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode().strip() or "not known yet"
        raise NoGround(
            f"a sandbox or demo runs in {root} (pid {pid}): end it with Ctrl-C there, or give --root another folder"
            " (make demo ROOT=FOLDER)"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _clear(root: Path) -> None:
    """All but the mark: without it, a removal that is cut short would leave a folder that looks like somebody else's."""
    for path in root.iterdir():
        if path.name == _MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
