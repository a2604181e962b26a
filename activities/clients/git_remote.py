"""Where a project's repository is, and what proves to it who we are."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from activities.secret import read_secret
from runbook.project import ForgeTable, ProjectTable

_ANYBODY = "release-runbook"
_HIDDEN = "•••"


@dataclass(frozen=True)
class Remote:
    """`name` is how messages call it; `token` is None where git finds its own way in (SSH, a path)."""

    name: str
    address: str
    user: str = _ANYBODY
    token: SecretStr | None = None

    @property
    def key(self) -> str:
        """A file name for this repository and no other."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", self.name).strip("-.")
        return f"{readable}-{hashlib.sha256(self.address.encode()).hexdigest()[:16]}"

    def environment(self) -> dict[str, str]:
        """What the askpass script answers with."""
        if self.token is None:
            return {}
        return {"RUNBOOK_GIT_USER": self.user, "RUNBOOK_GIT_PASSWORD": self.token.get_secret_value()}

    def redacted(self, text: str) -> str:
        """The text without the token, in whichever spelling git may have printed it."""
        if self.token is None:
            return text
        secret = self.token.get_secret_value()
        for spelling in {secret, quote(secret, safe="")}:
            text = text.replace(spelling, _HIDDEN)
        return text


def remote_of(project: ProjectTable, forge: ForgeTable) -> Remote:
    """The forge's token is the password where the address is http(s), and nowhere else.

    Raises:
        Refused: the token can't be read on the worker.
    """
    name = f"{project.owner}/{project.name}"
    if urlsplit(project.repository).scheme not in {"http", "https"}:
        return Remote(name, project.repository)
    return Remote(name, project.repository, project.user or _ANYBODY, read_secret(forge.token))
