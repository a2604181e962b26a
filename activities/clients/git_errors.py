"""What git's words mean: whether the credentials, the address or only the moment was wrong."""

import re

from activities.clients.git_command import Output
from activities.clients.git_remote import Remote
from activities.errors import Refused, StepError, Unreachable
from runbook.trouble import Cause

# git has no exit codes for these; its own texts are stable under LC_ALL=C.
_CREDENTIALS = re.compile(
    r"authentication failed|could not read (username|password)|permission denied \(|returned error: 40[13]"
    r"|is not authorized to|invalid username or password",
    re.IGNORECASE,
)
_HOST_KEY = re.compile(r"host key verification failed|remote host identification has changed", re.IGNORECASE)
_MOVED = re.compile(r"returned error: 30[1278]")
_ARCHIVED = re.compile(r"is archived")
_ABSENT = re.compile(
    r"repository .* not found|does not appear to be a git repository|cannot find repository|returned error: 404",
    re.IGNORECASE,
)
_LONGEST = 300


def lines_of(output: Output) -> list[str]:
    """What git and the server said, at most 20 lines."""
    return [line.strip()[:_LONGEST] for line in output.err.splitlines() if line.strip()][-20:]


def told(output: Output) -> str:
    """The one line that says most: the server's, or git's own."""
    lines = lines_of(output)
    for start in ("remote:", "fatal:", "error:"):
        for line in lines:
            if line.startswith(start) and line.removeprefix(start).strip():
                return line
    return lines[-1] if lines else f"exit code {output.code} without a word"


def failure(output: Output, remote: Remote, wanted: str) -> StepError:
    """The error for a command that failed on the way to or at the remote; `wanted` completes "could not …"."""
    what = f"could not {wanted} {remote.name} ({remote.address}): {told(output)}"
    evidence = lines_of(output)
    if _HOST_KEY.search(output.err):
        return Refused(
            f"{what}: add the server's host key to the worker's known_hosts", cause=Cause.CREDENTIALS, evidence=evidence
        )
    if _CREDENTIALS.search(output.err):
        return Refused(
            f"{what}: check the forge's token (scope write:repository) and project.user, or the worker's SSH key",
            cause=Cause.CREDENTIALS,
            evidence=evidence,
        )
    if _MOVED.search(output.err):
        return Refused(f"{what}: it has moved, put its new address into project.repository", evidence=evidence)
    if _ARCHIVED.search(output.err):
        return Refused(f"{what}: unarchive the repository first", evidence=evidence)
    if _ABSENT.search(output.err):
        return Refused(
            f"{what}: check project.repository, and that the token may see it (a hidden repository looks absent)",
            evidence=evidence,
        )
    return Unreachable(what, evidence=evidence)
