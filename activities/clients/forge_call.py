"""One call of a forge's API: the token in its one right spelling, every odd answer turned into a step's error."""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from activities.clients.forge_errors import error_for
from activities.clients.forge_json import Row, row, rows, text, whole
from activities.clients.http import answering, body_of, fits_a_header
from activities.errors import Refused, Unreachable
from activities.secret import read_secret
from runbook.project import ForgeTable, ProjectTable
from runbook.trouble import Cause

_LARGEST = 16 * 1024 * 1024
_PAGE = 50
_MOST_PAGES = 100


def segment(name: str) -> str:
    """A name as one segment of a path: also its slashes are encoded."""
    return quote(name, safe="")


@dataclass(frozen=True)
class Reply:
    """An answer; `where` says what was asked."""

    where: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body; Unreachable when it is no JSON, as a proxy's page or a cut answer is."""
        try:
            return json.loads(self.content)
        except ValueError:
            kind = self.headers.get("content-type", "no type").partition(";")[0]
            raise Unreachable(
                f"{self.where} answered {self.status} with {kind} instead of JSON: is there a proxy or a login page before it?"
            ) from None


class ForgeCall:
    """Calls about one repository. `repo` begins the paths that are about it."""

    def __init__(self, http: httpx.AsyncClient, project: ProjectTable, forge: ForgeTable) -> None:
        self._http = http
        self._forge = forge
        self.server = forge.url.rstrip("/")
        self.repo = f"/repos/{segment(project.owner)}/{segment(project.name)}"

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Row | None = None,
        but: Collection[int] = (),
    ) -> Reply:
        """Ask `path` below /api/v1. A status that is no success and not in `but` is raised.

        Raises:
            Unreachable: no answer, a cut one, or one that says to come back; after a POST it may have been done.
            Refused: everything else, by status code alone.
        """
        where = f"{method} {path} at {self.server}"
        async with self._answer(where, method, path, query, body) as answer:
            content = await body_of(answer, _LARGEST)
            if content is None:
                raise Refused(f"{where} answered more than {_LARGEST} bytes: that is no answer of a forge")
            reply = Reply(where, answer.status_code, answer.headers, content)
        if reply.status < 300 or reply.status in but:
            return reply
        raise error_for(
            reply.status, where, headers=reply.headers, said=self._said(reply.content), token=self._forge.token
        )

    async def tail(self, path: str, size: int) -> bytes | None:
        """The last `size` bytes of a text, None when the forge does not give it."""
        async with self._answer(f"GET {path} at {self.server}", "GET", path, None, None) as answer:
            if answer.status_code != 200:
                return None
            kept = b""
            async for chunk in answer.aiter_bytes():
                kept = (kept + chunk)[-size:]
            return kept

    async def listed(self, path: str, key: str = "", query: Mapping[str, str | int] | None = None) -> list[Row]:
        """Every page of a list, each id once; `key` is where in the answer the list is."""
        found: dict[int, Row] = {}
        for page in range(1, _MOST_PAGES + 1):
            rows_of_page, total = await self.page(path, page, key=key, query=query)
            known = len(found)
            found |= {whole(item, "id"): item for item in rows_of_page}
            # A page of nothing new is behind the end, also where the server knows no pages.
            if len(found) == known or (total is not None and len(found) >= total):
                return list(found.values())
        raise Refused(f"GET {path} at {self.server} has more than {_MOST_PAGES * _PAGE} entries: tidy up there")

    async def page(
        self, path: str, page: int, *, key: str = "", query: Mapping[str, str | int] | None = None
    ) -> tuple[list[Row], int | None]:
        """One page, and how many entries there are in all where the forge says so."""
        reply = await self.ask("GET", path, query={**(query or {}), "limit": _PAGE, "page": page})
        body = reply.json()
        total = reply.headers.get("x-total-count", "")
        if total.isdigit():
            return rows(row(body).get(key) if key else body), int(total)
        # A combined status counts its own page only; lists of runs and jobs count all.
        counted = whole(row(body), "total_count") if key and key != "statuses" else None
        return rows(row(body).get(key) if key else body), counted

    @contextlib.asynccontextmanager
    async def _answer(
        self, where: str, method: str, path: str, query: Mapping[str, str | int] | None, body: Row | None
    ) -> AsyncGenerator[httpx.Response]:
        headers = {"authorization": f"token {self._token()}", "accept": "application/json, text/plain"}
        url = f"{self.server}/api/v1{path}"
        try:
            request = self._http.build_request(method, url, params=query, json=body, headers=headers)
            async with answering(self._http, request) as answer:
                yield answer
        except httpx.TimeoutException:
            raise Unreachable(f"{where} did not answer in time: check the forge and the network to it") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{where} did not answer ({type(error).__name__}: {error})") from None

    def _token(self) -> str:
        """Anything but the word `token` in lower case is nobody to an older forge."""
        secret = read_secret(self._forge.token).get_secret_value()
        if not fits_a_header(secret):
            raise Refused(f"the token {self._forge.token} has blanks or line ends in it", cause=Cause.CREDENTIALS)
        return secret

    def _said(self, content: bytes) -> str:
        try:
            said = text(row(json.loads(content)), "message")
        except ValueError:
            return ""
        return re.sub(r"\s+", " ", said.replace(self._token(), "•••"))[:200]
