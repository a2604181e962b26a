"""The SDK's client over one UNIX socket: kept connections for all calls, and none left open when one can't be made.

The SDK's own adapter keeps a connection per address asked for, and each would be a channel of its own through SSH.
"""

import socket
from pathlib import Path
from typing import Any, cast

import docker
import requests
import requests.adapters
from docker.errors import DockerException
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

# How long the engine may take for one call; a stop gets its own time on top.
_CALL_SECONDS = 60
# More than the steps that ever work on one host at once.
_CALLS = 32
_OLDEST = "1.24"


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
    def __init__(self, *args: Any, unix_socket: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unix_socket = unix_socket

    def _new_conn(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(_CALL_SECONDS)
            made.connect(self._unix_socket)
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
        self._pool = _Pool("localhost", maxsize=_CALLS, unix_socket=str(path))

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:  # noqa: ARG002 - requests' signature
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()
