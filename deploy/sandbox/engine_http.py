"""HTTP clients for this machine only: no proxies, and no time spent on certificates that plain http never asks for."""

import ssl
from pathlib import Path

import httpx

# Loading the machine's authorities takes longer than a whole start of a container here.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def local_client(*, timeout: float, uds: Path | None = None, below: str = "") -> httpx.AsyncClient:
    """Over the UNIX socket `uds`, where one is given, with paths relative to `below` there."""
    if uds is None:
        return httpx.AsyncClient(trust_env=False, verify=_NO_AUTHORITIES, timeout=timeout)
    transport = httpx.AsyncHTTPTransport(uds=str(uds), verify=_NO_AUTHORITIES)
    return httpx.AsyncClient(transport=transport, base_url=f"http://engine{below}", trust_env=False, timeout=timeout)
