"""One call of the forge's API: who makes it, on which repository, and how the forge answers."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.sandbox.forge_core import Account, Forge
from deploy.sandbox.forge_git import Repository

API = "/api/v1"
MAX_PAGE = 50
DEFAULT_PAGE = 30
ORDER = ["none", "read", "write", "admin"]


class Refused(Exception):
    """An answer other than the wanted one; `errors` is there only where the forge sends it."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.more = more


def not_found(message: str = "The target couldn't be found.") -> Refused:
    return Refused(404, message, errors=[])


class Call:
    """What a handler is given."""

    def __init__(self, forge: Forge, request: Request, account: Account | None) -> None:
        self.forge = forge
        self.request = request
        self.account = account
        self.base = str(request.base_url).rstrip("/")

    @property
    def path(self) -> Mapping[str, Any]:
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    @property
    def repository(self) -> Repository:
        """The repository of the path; 404 when it is missing or hidden from the caller."""
        full_name = f"{self.path['owner']}/{self.path['repo']}"
        repository = self.forge.repositories.get(full_name)
        if repository is None or not self.may("read"):
            raise not_found()
        return repository

    @property
    def repo(self) -> str:
        return self.repository.full_name

    def may(self, right: str) -> bool:
        if self.account is None:
            return right == "read" and not self.forge.settings.private
        return ORDER.index(self.account.rights) >= ORDER.index(right)

    def need(self, right: str, message: str) -> None:
        if not self.may(right):
            raise Refused(403, message)

    async def body(self, **required: str) -> dict[str, Any]:
        """The JSON object sent; `required` maps its keys to the names validation errors use."""
        try:
            sent = json.loads(await self.request.body() or b"{}")
        except ValueError as error:
            raise Refused(422, f"[]: {error}") from error
        if not isinstance(sent, dict):
            raise Refused(422, f"[]: json: cannot unmarshal {type(sent).__name__} into Go value")
        for key, name in required.items():
            if not sent.get(key):
                raise Refused(422, f"[{name}]: Required")
        return sent

    def number(self, name: str) -> int:
        try:
            return int(self.path[name])
        except ValueError:
            raise not_found() from None

    def url(self, rest: str) -> str:
        return f"{self.base}{API}/repos/{self.repo}{rest}"

    def page(self, items: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
        """The page asked for, and the headers that tell of the others."""
        page, limit = max(_whole(self.query.get("page"), 1), 1), _whole(self.query.get("limit"), 0)
        limit = DEFAULT_PAGE if limit <= 0 else min(limit, MAX_PAGE)
        last = max(-(-len(items) // limit), 1)
        headers = {"X-Total-Count": str(len(items))}
        links = {"next": page + 1, "last": last} if page < last else {}
        links |= {"first": 1, "prev": page - 1} if page > 1 else {}
        if links:
            headers["Link"] = ",".join(f'<{self._page_url(n)}>; rel="{rel}"' for rel, n in links.items())
        return list(items[(page - 1) * limit : page * limit]), headers

    def paged(self, items: Sequence[Any]) -> Response:
        shown, headers = self.page(items)
        return JSONResponse(shown, headers=headers)

    def _page_url(self, page: int) -> str:
        query = urlencode({**self.query, "page": page})
        return f"{self.base}{self.request.url.path}?{query}"


Handler = Callable[[Call], Awaitable[Response]]


def _whole(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default


def who(forge: Forge, request: Request) -> Account | None:
    """The caller's account, None for nobody; Refused when the credentials are wrong."""
    header = request.headers.get("authorization")
    token = _token(header, strict=forge.traits.strict_token_word) if header else None
    if token is None:
        return None
    account = next((account for account in forge.accounts if account.token == token), None)
    if account is None:
        raise Refused(401, forge.traits.bad_token)
    return account


def _token(header: str, *, strict: bool) -> str | None:
    word, _, value = header.partition(" ")
    if word.lower() == "basic":
        return _basic_token(value)
    if word.lower() == "bearer" or word == "token" or (word.lower() == "token" and not strict):
        return value.strip()
    return None


def _basic_token(value: str) -> str:
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return user if password in {"", "x-oauth-basic"} else password
