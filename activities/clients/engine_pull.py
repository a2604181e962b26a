"""A pull, read to its end: what breaks half-way is said in the stream of a 200."""

import threading
from typing import Any, Protocol

import docker.errors
from pydantic import SecretStr

from activities.clients.engine_errors import explained, pull_error
from activities.heartbeat import tell
from activities.secret import read_secret
from runbook.artifact_table import CredentialsTable


class _Puller(Protocol):
    """The part of the SDK's low-level client that pulls."""

    def pull(self, repository: str, tag: str, *, stream: bool, decode: bool, auth_config: dict[str, str]) -> Any: ...


def registry_login(credentials: CredentialsTable | None) -> dict[str, SecretStr]:
    """What the engine sends to the registry. Empty is anonymous: the worker's own Docker login is never used."""
    if credentials is None:
        return {}
    return {"username": SecretStr(credentials.user), "password": read_secret(credentials.password)}


def pull(
    api: _Puller, host: str, repository: str, wanted: str, login: dict[str, SecretStr], stop: threading.Event
) -> None:
    """Pull `repository` at a tag or digest, blocking; ends early when `stop` is set.

    Raises:
        StepError: as of `engine_errors.pull_error`.
    """
    what = f"{repository}{'@' if ':' in wanted else ':'}{wanted}"
    auth = {key: value.get_secret_value() for key, value in login.items()}
    layers: dict[str, str] = {}
    try:
        for line in api.pull(repository, wanted, stream=True, decode=True, auth_config=auth):
            _read(host, what, line, layers)
            if stop.is_set():
                return
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 0
        raise pull_error(host, what, status, explained(error)) from None


def _read(host: str, what: str, line: dict[str, Any], layers: dict[str, str]) -> None:
    if "errorDetail" in line or "error" in line:
        detail: Any = line.get("errorDetail")
        said = str(detail.get("message") if detail else line.get("error"))
        raise pull_error(host, what, 200, " ".join(said.split())[:300])
    if line.get("id") and line.get("status"):
        layers[line["id"]] = line["status"]
        done = sum(status in {"Pull complete", "Already exists"} for status in layers.values())
        tell("pulling", what, done, len(layers))
