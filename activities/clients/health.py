"""Looks at one address of a service over HTTP: short, bounded, straight to the host, on a connection of its own."""

import asyncio
import json
import re
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx

from activities.errors import Refused, Unreachable
from runbook.identifier import tag_of
from runbook.soak_table import LONGEST_LOOK
from runbook.trouble import Cause

LARGEST_BODY = 64 * 1024

_CUT = f" (cut at {LARGEST_BODY // 1024} KiB, so not believed: make it shorter)"
_WELL = frozenset({"ok", "healthy", "up", "pass"})
_VERSION = re.compile(r"[\w.+-]{1,120}")
_HEADERS = {
    "user-agent": "release-runbook",
    "accept": "application/json, text/plain;q=0.9, */*;q=0.1",
    "accept-encoding": "identity",
}

Body = dict[str, Any] | list[Any] | str | None


@dataclass(frozen=True)
class Answer:
    """What an address answered: `body` is parsed where it is JSON, else text, None when empty; `ms` until it was read.

    One that was `cut` says nothing for certain: what follows may be the status, or the rest of the version.
    """

    status: int
    body: Body
    ms: float
    cut: bool = False

    @property
    def healthy(self) -> bool:
        """A plain 200 that was read to its end; where its JSON states a `status`, that must be ok, healthy, up or pass in any case."""
        if self.status != 200 or self.cut:
            return False
        if not isinstance(self.body, dict) or "status" not in self.body:
            return True
        return str(self.body["status"]).casefold() in _WELL

    @property
    def version(self) -> str | None:
        """The version a 200 states, exactly as it states it: JSON's `version`, or one word of plain text."""
        if self.status != 200 or self.cut:
            return None
        stated = self.body.get("version") if isinstance(self.body, dict) else self.body
        return stated if isinstance(stated, str) and _VERSION.fullmatch(stated) else None

    def is_version(self, version: str) -> bool:
        """Whether it states exactly this version, with or without the tag's `v`."""
        return self.version in {version, tag_of(version)}

    @property
    def said(self) -> str:
        """The answer as one line of evidence, at most 200 characters."""
        shown = self.body if isinstance(self.body, str) else json.dumps(self.body, separators=(",", ":"))
        text = " ".join(shown.split()) if self.body is not None else "(empty)"
        printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        return f"{self.status}{_CUT if self.cut else ''} {printable}"[:200]


class HttpProbe:
    """Follows no redirect, uses no proxy and reuses no connection: an answer is the host's own, and of now.

    TLS is checked against the system's certificate store, so that a company's own authority counts.
    """

    def __init__(
        self, *, within: float = LONGEST_LOOK.total_seconds(), client: httpx.AsyncClient | None = None
    ) -> None:
        """`within`: seconds for a whole look, from name resolution to the last byte; `client`: a way of one's own."""
        self._within = within
        self._client = client or httpx.AsyncClient(
            timeout=within,
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._client.headers.update(_HEADERS)

    async def look(self, url: str) -> Answer:
        """GET `url`; any status is an answer, at most 64 KiB of its body are read.

        Raises:
            Unreachable: no answer came (refused, time-out, broken off, TLS); the message names the address.
            Refused: what was given is no address.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._within), self._client.stream("GET", url) as response:
                content, cut = await _bounded(response)
        except (TimeoutError, httpx.TimeoutException):
            raise self._silent(url) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Refused(
                f"{url!r} is not an address that can be looked at ({error}): correct the project's file"
            ) from None
        except httpx.RequestError as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise Unreachable(f"no answer from {url}: {why[:200]}; is the service up and the address right?") from None
        return Answer(response.status_code, _parsed(content), (time.monotonic() - started) * 1000, cut)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _silent(self, url: str) -> Unreachable:
        return Unreachable(
            f"no answer from {url} within {self._within:g} s; is the service up?", cause=Cause.UNREACHABLE
        )


async def _bounded(response: httpx.Response) -> tuple[bytes, bool]:
    """As much of the body as is read, and whether there is more."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_BODY:
            return bytes(content[:LARGEST_BODY]), True
    return bytes(content), False


def _parsed(content: bytes) -> Body:
    text = content.decode(errors="replace").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (dict, list, str)) else text  # pyright: ignore[reportUnknownVariableType] - JSON is Any
