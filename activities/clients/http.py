"""The worker's HTTP client: bounded waits, no redirects, nothing tried twice behind anybody's back."""

import functools
from datetime import timedelta
from pathlib import Path

import httpx

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
