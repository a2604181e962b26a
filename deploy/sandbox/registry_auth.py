"""Who may do what in the registry: nobody asked, Basic, or Bearer tokens with a scope."""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.sandbox.registry_answers import error

SERVICE = "sandbox-registry"
TOKEN_SECONDS = 300


@dataclass(frozen=True)
class RegistrySettings:
    """`user` may push and pull, `reader` only pull; `auth` none asks nobody.

    `ignore_accept` serves the stored bytes whatever is accepted, as Gitea's and Forgejo's registries do.
    """

    auth: Literal["none", "basic", "bearer"] = "none"
    user: str = "release-bot"
    password: str = field(default="", repr=False)
    reader: str = ""
    reader_password: str = field(default="", repr=False)
    ignore_accept: bool = False
    token_seconds: float = TOKEN_SECONDS


class Gatekeeper:
    """Checks requests, and issues tokens at `/token`."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self._tokens: dict[str, tuple[frozenset[str], float]] = {}

    def refusal(self, request: Request, name: str | None, action: str) -> Response | None:
        """The 401 for a request on repository `name` (None: `/v2/` itself), or None when it may pass."""
        if self.settings.auth == "none":
            return None
        if self.settings.auth == "basic":
            rights = self._rights(request)
            return None if rights and action in rights else _unauthorized('Basic realm="sandbox"', name, action)
        return self._bearer_refusal(request, name, action)

    def token(self, request: Request) -> Response:
        """A token for what was asked and is allowed; without an account one that allows nothing."""
        rights = self._rights(request)
        if rights is None:
            return error(401, "UNAUTHORIZED", "authentication required")
        granted = set[str]()
        for scope in " ".join(request.query_params.getlist("scope")).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted |= {f"{kind}:{name}:{action}" for action in actions.split(",") if action in rights}
        value = secrets.token_urlsafe(32)
        self._tokens[value] = (frozenset(granted), time.monotonic() + self.settings.token_seconds)
        lifetime = int(self.settings.token_seconds)
        return JSONResponse({"token": value, "access_token": value, "expires_in": lifetime})

    def _bearer_refusal(self, request: Request, name: str | None, action: str) -> Response | None:
        realm = f'Bearer realm="{request.base_url}token",service="{SERVICE}"'
        wanted = f"repository:{name}:{action}" if name else ""
        challenge = realm + (f',scope="repository:{name}:{_with_pull(action)}"' if name else "")
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return _unauthorized(challenge, name, action)
        granted, expires = self._tokens.get(value, (frozenset(), 0.0))
        if expires < time.monotonic():
            return _unauthorized(challenge + ',error="invalid_token"', name, action)
        if wanted and wanted not in granted:
            return _unauthorized(challenge + ',error="insufficient_scope"', name, action)
        return None

    def _rights(self, request: Request) -> frozenset[str] | None:
        """The account's rights; nothing for nobody; None for a wrong password."""
        header = request.headers.get("authorization")
        if header is None:
            return frozenset()
        user, password = _basic(header)
        known = self.settings
        if (user, password) == (known.user, known.password):
            return frozenset({"pull", "push", "delete", "*"})
        if known.reader and (user, password) == (known.reader, known.reader_password):
            return frozenset({"pull"})
        return None


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (user, password) if kind.lower() == "basic" else ("", "")


def _with_pull(action: str) -> str:
    return "pull,push" if action == "push" else action


def _unauthorized(challenge: str, name: str | None, action: str) -> Response:
    detail = [{"Type": "repository", "Class": "", "Name": name, "Action": action}] if name else None
    headers = {"WWW-Authenticate": challenge}
    return error(401, "UNAUTHORIZED", "authentication required", detail, headers)
