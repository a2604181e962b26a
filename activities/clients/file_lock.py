"""A lock on a file that ends with whoever holds it, be it this process or a child that outlived it."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

from activities.errors import Unreachable

_AGAIN = 0.05


def take(path: Path) -> int | None:
    """The file's descriptor, locked for us alone; None while somebody else holds it. Closing it lets go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it before may have removed the file: a lock on a file without a name keeps nobody out.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


@contextlib.asynccontextmanager
async def locked(path: Path, *, within: timedelta, why: str) -> AsyncGenerator[int]:
    """Hold the lock for the block. Gives its descriptor: a child that inherits it holds the lock as long as it lives.

    Raises:
        Unreachable: somebody else held it all the time; `why` says what for.
    """
    deadline = time.monotonic() + within.total_seconds()
    while (descriptor := take(path)) is None:
        if time.monotonic() > deadline:
            raise Unreachable(f"{why}: another attempt holds {path.name} for more than {within}; it is tried again")
        await asyncio.sleep(_AGAIN)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
