"""A pull, read to its end: what breaks half-way is said in the stream of a 200."""

from typing import Any, Protocol

import docker.errors
import requests
import urllib3.exceptions
from pydantic import SecretStr

from activities.clients.engine_errors import explained, pull_error
from activities.clients.engine_socket import Line
from activities.errors import Unreachable
from activities.heartbeat import tell
from activities.secret import read_secret
from runbook.artifact_table import CredentialsTable
from runbook.span import spoken

# Before the answer's first byte, and between two of its lines.
_SILENT = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)


class _Puller(Protocol):
    """The part of the SDK's low-level client that pulls."""

    def pull(self, repository: str, tag: str, *, stream: bool, decode: bool, auth_config: dict[str, str]) -> Any: ...


def registry_login(credentials: CredentialsTable | None) -> dict[str, SecretStr]:
    """What the engine sends to the registry. Empty is anonymous: the worker's own Docker login is never used."""
    if credentials is None:
        return {}
    return {"username": SecretStr(credentials.user), "password": read_secret(credentials.password)}


def pull(api: _Puller, line: Line, host: str, repository: str, wanted: str, login: dict[str, SecretStr]) -> None:
    """Pull `repository` at a tag or digest, blocking; whoever cuts the `line` ends it.

    Raises:
        StepError: as of `engine_errors.pull_error`; Unreachable when nothing was heard for as long as the line allows.
    """
    what = f"{repository}{'@' if ':' in wanted else ':'}{wanted}"
    auth = {key: value.get_secret_value() for key, value in login.items()}
    layers: dict[str, str] = {}
    try:
        with line.taken():
            for said in api.pull(repository, wanted, stream=True, decode=True, auth_config=auth):
                _read(host, what, said, layers)
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 0
        raise pull_error(host, what, status, explained(error)) from None
    except _SILENT:
        seen = f"with {_there(layers)} of {len(layers)} layers there" if layers else "without a word of any layer"
        raise Unreachable(
            f"{host} said nothing for {spoken(line.silence)} of its pull of {what}, {seen}; tried again: "
            "look at the registry, the way from the host to it, and the host's disk"
        ) from None


def _read(host: str, what: str, line: dict[str, Any], layers: dict[str, str]) -> None:
    if "errorDetail" in line or "error" in line:
        detail: Any = line.get("errorDetail")
        said = str(detail.get("message") if detail else line.get("error"))
        raise pull_error(host, what, 200, " ".join(said.split())[:300])
    if line.get("id") and line.get("status"):
        layers[line["id"]] = line["status"]
        tell("pulling", what, _there(layers), len(layers))


def _there(layers: dict[str, str]) -> int:
    return sum(status in {"Pull complete", "Already exists"} for status in layers.values())
