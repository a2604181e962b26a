"""What an engine's refusals mean for a step."""

import docker.errors
import requests
import urllib3.exceptions

from activities.errors import Refused, StepError, Unreachable
from runbook.trouble import Cause

_NO_LOGIN = (
    "no basic auth credentials",
    "unauthorized",
    "authentication required",
    "access denied",
    "access forbidden",
)
_BUSY_PORT = ("already in use", "already allocated")
# What an engine says that was restarted while it started the container, or is just ending.
_ENGINE_RESTARTED = ("already exists", "object type *libnetwork")


class Moved(Unreachable):
    """A container is not as it was looked at: gone, renamed, its name taken or running. Look again."""


class NotStarted(StepError):
    """A container could not be started; `again` may help when `retryable`, as with a port that is still taken."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message, cause=Cause.CONTAINER_EXITED)
        self.retryable = retryable


def step_error(host: str, doing: str, error: Exception) -> StepError:
    """The SDK's error as a step's; the message names the host and what was tried, never what was sent."""
    if not isinstance(error, docker.errors.APIError):
        said = " ".join(str(error).split())[:200] or type(error).__name__
        return Unreachable(f"the engine of {host} did not answer to `{doing}` ({said}): is Docker running there?")
    status, said = int(error.response.status_code if error.response is not None else 0), explained(error)
    if status in {404, 409}:
        return Moved(f"{host} has changed meanwhile: `{doing}` found {said}; looked at again")
    wrong = f"the engine of {host} refused `{doing}` with {status}: {said}"
    return Refused(wrong) if 400 <= status < 500 else Unreachable(wrong)


def not_started(host: str, name: str, error: docker.errors.APIError) -> NotStarted:
    said = explained(error)
    busy = any(words in said for words in _BUSY_PORT)
    # An engine that was killed while it started a container keeps that one's port to itself until its next start.
    advice = "; find who has the port with `docker ps`, and where nobody has it, restart Docker there" if busy else ""
    passes = busy or any(words in said for words in _ENGINE_RESTARTED)
    return NotStarted(f"{host}: container {name} can't be started: {said}{advice}", retryable=passes)


def pull_error(host: str, what: str, status: int, said: str) -> StepError:
    """The same for a pull, of whose failures the engine tells little."""
    lower = said.lower()
    if any(words in lower for words in _NO_LOGIN):
        return Refused(
            f"{host} may not pull {what} ({said}): check artifact.credentials, they are sent with the pull",
            cause=Cause.CREDENTIALS,
        )
    if status == 404 or "manifest unknown" in lower or "not found" in lower:
        return Unreachable(f"{host} can't pull {what}: the registry has none ({said})", cause=Cause.DIGEST_UNKNOWN)
    return Unreachable(f"{host} could not pull {what} ({said}); tried again")


def explained(error: docker.errors.APIError) -> str:
    """The engine's own sentence, on one line."""
    return " ".join(str(error.explanation or error).split())[:300]


# What the SDK raises; a stream that breaks off comes straight from the layer below it.
SPEAKING = (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
