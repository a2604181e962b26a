"""The worker's HTTP client: bounded waits and answers, no redirects, nothing tried twice behind anybody's back."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from runbook.span import spoken

WHOLE_CALL = timedelta(seconds=12)
_LONGEST_PAUSE = timedelta(minutes=5)
_CONNECTIONS = 100
# Reading the certificates of all authorities takes longer than most answers: once is enough.
_trust = functools.cache(httpx.create_ssl_context)


def new_client(wait: timedelta = timedelta(seconds=10)) -> httpx.AsyncClient:
    """A client that waits at most this long for a connection or for the next bytes; close it with `aclose`.

    Whoever asks decides what a redirect means and whether trying again is safe.
    """
    return httpx.AsyncClient(
        verify=_trust(),
        timeout=httpx.Timeout(wait.total_seconds(), connect=min(wait.total_seconds(), 5.0)),
        limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        follow_redirects=False,
        headers={"user-agent": "release-runbook"},
    )


def through(socket: Path, wait: timedelta) -> httpx.AsyncClient:
    """A client for what answers behind a UNIX socket; it keeps no connection, so nothing is left open between calls."""
    transport = httpx.AsyncHTTPTransport(
        uds=str(socket), verify=_trust(), limits=httpx.Limits(max_keepalive_connections=0)
    )
    return httpx.AsyncClient(
        transport=transport, timeout=wait.total_seconds(), trust_env=False, headers={"user-agent": "release-runbook"}
    )


@contextlib.asynccontextmanager
async def answering(
    http: httpx.AsyncClient, request: httpx.Request, within: timedelta = WHOLE_CALL
) -> AsyncGenerator[httpx.Response]:
    """The answer, its body still to be read; no redirect is followed.

    Raises:
        httpx.HTTPError: none came, or not all of it within this time: a client's own limit is for the next bytes only.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            answer = await http.send(request, stream=True, follow_redirects=False)
            try:
                yield answer
            finally:
                await answer.aclose()
    except TimeoutError:
        raise httpx.ReadTimeout(f"no whole answer within {spoken(within)}", request=request) from None


async def body_of(answer: httpx.Response, most: int) -> bytes | None:
    """The body; None when it has more than `most` bytes, and then hardly more of it is read."""
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > most:
            return None
    return bytes(content)


def pause_asked(headers: Mapping[str, str]) -> timedelta | None:
    """How long the server asks to be left alone (Retry-After), at most 5 minutes."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdigit():
        return min(timedelta(seconds=int(asked[:9])), _LONGEST_PAUSE)
    try:
        wait = parsedate_to_datetime(asked) - datetime.now(UTC)
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta(0)), _LONGEST_PAUSE)


def fits_a_header(secret: str) -> bool:
    """Whether it can be sent: the library refuses anything else with a message that quotes it."""
    return secret.isascii() and secret.isprintable() and " " not in secret
