"""How a new version gets its traffic: on the old one's port after it, or beside it and then behind a proxy's switch."""

import ipaddress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from runbook.identifier import Slug
from runbook.span import Span, SpanOrNone
from runbook.table import Table

# A swap's step may take ten minutes in all.
LONGEST = timedelta(minutes=9)


class Strategy(StrEnum):
    RECREATE = "recreate"
    BLUE_GREEN = "blue_green"


def _admin(text: str) -> str:
    name, colon, port = text.rpartition(":")
    is_address = bool(name and colon) and port.isdecimal() and 0 < int(port) < 65536
    if not (text.startswith("/") or (is_address and all(c.isalnum() or c in ".-[]:" for c in name))):
        raise ValueError(f"{text[:60]!r} is neither host:port nor the path of a UNIX socket")
    return text


def _pair(addresses: list[str]) -> list[str]:
    for text in addresses:
        try:
            is_inside = ipaddress.IPv4Address(text).is_private
        except ValueError:
            is_inside = False
        if not is_inside:
            raise ValueError(f"{text[:40]!r} is not an IPv4 address of a private network")
    if len(set(addresses)) != len(addresses):
        raise ValueError("the same address twice: the new container runs beside the old one")
    return addresses


class ProxyTable(Table):
    """Caddy in front of the service on each host, for `strategy = "blue_green"`; deploy/hosts.md prepares it."""

    admin: Annotated[str, AfterValidator(_admin)] = Field(
        default="localhost:2019",
        description="Caddy's admin API as the host itself reaches it: host:port or a socket's path",
    )
    handler: Slug = Field(description="The `@id` of the service's reverse_proxy handler in Caddy's configuration")
    network: Slug = Field(description="The Docker network that has the addresses")
    addresses: Annotated[list[str], AfterValidator(_pair)] = Field(
        min_length=2, max_length=2, description="Two addresses of that network, which new containers take in turn"
    )
    drain: SpanOrNone = Field(
        default=timedelta(seconds=30), description="How long requests that the old one still answers are waited for"
    )

    def shares(self, other: "ProxyTable") -> bool:
        """Whether both would change the same handler, or give out the same address."""
        same_handler = (self.admin, self.handler) == (other.admin, other.handler)
        return same_handler or (self.network == other.network and bool(set(self.addresses) & set(other.addresses)))


def strategy_fault(
    strategy: Strategy, proxy: ProxyTable | None, publish_on: str | None, health_deadline: Span, stop_timeout: Span
) -> str:
    """What does not go together, in one line; empty when all does."""
    if strategy is Strategy.RECREATE:
        return 'a proxy is used by strategy = "blue_green" only: say that, or leave the table out' if proxy else ""
    if proxy is None:
        return 'strategy = "blue_green" needs the table proxy: which handler of Caddy, which two addresses'
    if publish_on:
        return (
            'publish_on is for strategy = "recreate": with blue_green the proxy listens and containers publish nothing'
        )
    if health_deadline + proxy.drain + stop_timeout > LONGEST:
        return "with blue_green health_deadline, proxy.drain and stop_timeout are one step, together 9 min at most"
    return ""
