"""What a forge's status code means for a release; its words are told to people and decide nothing."""

import re
from collections.abc import Mapping

from activities.clients.http import pause_asked
from activities.errors import Refused, StepError, Unreachable
from runbook.trouble import Cause

_COMES_BACK = {408, 425, 429}


def error_for(status: int, where: str, *, headers: Mapping[str, str], said: str, token: str) -> StepError:
    """The error for an answer nobody wanted. `where` names method, path and server, `token` the secret's reference."""
    heard = f"{where} answered {status}" + (f" ({said})" if said else "")
    if status in _COMES_BACK or status >= 500:
        return Unreachable(f"{heard}: the forge is unwell or busy, it is asked again", again=pause_asked(headers))
    if 300 <= status < 400:
        place = re.sub(r"[?#].*", "", headers.get("location", "an unnamed place"))[:200]
        return Refused(
            f"{heard}: it has moved to {place}; put the new name into project.owner and project.name, or forge.url"
        )
    return _refusal(status, heard, where, token)


def _refusal(status: int, heard: str, where: str, token: str) -> Refused:
    if status == 401:
        return Refused(
            f"{heard}: the token {token} is not valid (any more); make a new one and put it there",
            cause=Cause.CREDENTIALS,
        )
    if status == 403:
        return Refused(
            f"{heard}: the token {token} or its user may not do this; it needs the scope {_scope(where)} "
            "and the right to it in this repository",
            cause=Cause.CREDENTIALS,
        )
    if status == 404:
        return Refused(
            f"{heard}: it is not there, or the token {token} may not see it; check project.owner and project.name, "
            "and that the token's user is a collaborator"
        )
    if status == 423:
        return Refused(f"{heard}: the repository is archived or the issue is locked; undo that first")
    return Refused(f"{heard}: this forge does not take it")


def _scope(where: str) -> str:
    method, _, path = where.partition(" ")
    kind = "issue" if re.search(r"/(issues|labels)(/| |$)", path) else "repository"
    return f"{'read' if method == 'GET' else 'write'}:{kind}"
