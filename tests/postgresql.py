"""A real PostgreSQL server for tests, on loopback, in a folder of its own."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from deploy.ports import free_port


@contextlib.contextmanager
def postgresql_server() -> Generator[str]:
    """The URL of a running, empty server; skips where there is none on this machine."""
    binaries = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if missing := [name for name, path in binaries.items() if path is None]:
        pytest.skip(f"no PostgreSQL on this machine: {', '.join(missing)} not found")
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgresql-") as made:
        folder = Path(made)
        if user:
            shutil.chown(folder, user)
        data, port = folder / "data", free_port()
        initdb = [str(binaries["initdb"]), "-D", str(data), "-U", "runbook", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True)
        command = [str(binaries["postgres"]), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", made, "-F"]
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"postgresql://runbook@127.0.0.1:{port}/postgres"
            _until_ready(url)
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
