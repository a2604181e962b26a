"""The SDK's client over one UNIX socket: kept connections for all calls, and none left open when one can't be made.

The SDK's own adapter keeps a connection per address asked for, and each would be a channel of its own through SSH.
"""

import contextlib
import socket
import threading
from collections.abc import Generator
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import docker
import requests
import requests.adapters
from docker.errors import DockerException
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

# For a call that the SDK lets wait without end, as it does a pull: longer than an engine is ever silent over its work.
# One with containerd's image store says nothing while it unpacks a layer (moby#47108), which on a slow disk takes minutes;
# containerd's own limit for a pull without progress is as long. Steps that pull give an attempt twice as long.
SILENCE = timedelta(minutes=5)
# How long the engine may take for one call; a stop gets its own time on top.
_CALL_SECONDS = 60
# More than the steps that ever work on one host at once.
_CALLS = 32
_OLDEST = "1.24"


_taken: "ContextVar[Line | None]" = ContextVar("taken", default=None)


class Line:
    """What a thread calls in the block of `taken` goes over connections that nobody else has, and can be cut from outside.

    Nobody waits longer than `silence` for the next bytes where the SDK would wait without end.
    """

    def __init__(self, silence: timedelta = SILENCE) -> None:
        self.silence = silence
        self._lock = threading.Lock()
        self._is_cut = False
        self._sockets: list[socket.socket] = []

    @contextlib.contextmanager
    def taken(self) -> Generator[None]:
        token = _taken.set(self)
        try:
            yield
        finally:
            _taken.reset(token)

    def add(self, made: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the call was cut")
            self._sockets.append(made)

    def cut(self) -> None:
        """From any thread: whoever reads at one of the connections hears its end at once, and no new one is made."""
        with self._lock:
            self._is_cut = True
            for made in self._sockets:
                # It may be closed by now, or its other end gone.
                with contextlib.suppress(OSError):
                    made.shutdown(socket.SHUT_RDWR)


def dial(path: Path) -> Any:
    """An APIClient that speaks the engine's own version of the API; blocking. Close it with `close`.

    Raises:
        DockerException, requests.RequestException, OSError: nothing that speaks like an engine answers there.
    """
    asking = _client(path, _OLDEST)
    try:
        version = str(asking.version(api_version=False)["ApiVersion"])
    except (KeyError, TypeError, ValueError) as error:
        raise DockerException(f"no version in the answer: {error}") from None
    finally:
        asking.close()
    return _client(path, version)


def _client(path: Path, version: str) -> Any:
    api = docker.APIClient(base_url=f"unix://{path}", version=version, timeout=_CALL_SECONDS)
    api.mount("http+docker://", _Adapter(path))
    # Without it a ~/.netrc of the worker would be looked into for "localhost".
    api.trust_env = False
    return api


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, unix_socket: str, line: Line | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unix_socket = unix_socket
        self._line = line

    def _new_conn(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(_CALL_SECONDS)
            made.connect(self._unix_socket)
            if self._line:
                self._line.add(made)
        except BaseException:
            made.close()
            raise
        return made


class _Pool(HTTPConnectionPool):
    # What urllib3 itself makes does not fit its own protocol to the letter.
    ConnectionCls = cast("Any", _Connection)


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._pool = _Pool("localhost", maxsize=_CALLS, unix_socket=self._path, line=None)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            line = _taken.get()
            kwargs["timeout"] = (_CALL_SECONDS, (line.silence if line else SILENCE).total_seconds())
        return super().send(*args, **kwargs)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        line = _taken.get()
        return _Pool("localhost", unix_socket=self._path, line=line) if line else self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:  # noqa: ARG002 - requests' signature
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()
