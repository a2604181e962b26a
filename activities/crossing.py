"""The proxy in front of one service on one host, as one run may change it: look, take, prove, switch, drain."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from activities.answers import Probe
from activities.clients.caddy import Traffic
from activities.clients.engine_errors import Moved
from activities.errors import Refused
from activities.family import Family, Member, Part
from activities.heartbeat import tell
from activities.hosted_service import HostedService
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable
from runbook.proxy_table import ProxyTable
from runbook.trouble import Cause

# A request that the proxy had just begun to hand on at the switch comes to the old one a moment later.
QUIET = 1.0
_EVERY = 0.25


class HostProxy(Protocol):
    """A host's proxy; `activities.clients.caddy.Caddy` says what each raises."""

    host: str

    async def traffic(self) -> Traffic: ...
    async def send(self, last: Traffic, upstream: str, epoch: int) -> None: ...
    async def under_way(self, upstream: str) -> int: ...


Inside = Callable[[str], Awaitable[Probe]]


@dataclass(frozen=True)
class Crossing:
    """`inside` gives a probe of an upstream that asks from the host itself, past the proxy."""

    proxy: HostProxy
    inside: Inside
    environment: EnvironmentTable
    table: ProxyTable
    ref: ReleaseRef
    quiet: float = QUIET

    async def look(self) -> Traffic:
        """Where the traffic goes. Look here before looking at the containers: then `take` finds out who came between.

        Raises:
            Refused: a later run has taken it (cause FENCED).
        """
        traffic = await self.proxy.traffic()
        if traffic.epoch > self.ref.epoch:
            raise Refused(
                f"the proxy of {self.proxy.host} was taken by a later run (epoch {traffic.epoch}): this one is out of "
                "date and changes nothing more there; look at the later run instead",
                cause=Cause.FENCED,
            )
        return traffic

    async def take(self, traffic: Traffic, serving: Member | None) -> Traffic:
        """From here on no other attempt's switch succeeds, of whatever run, unless it looks again.

        Traffic stays where `serving` is, or is returned there where the proxy forgot.

        Raises:
            Moved: somebody took it since it was looked at.
        """
        await self.proxy.send(traffic, self._now(traffic, serving), self.ref.epoch)
        taken = await self.look()
        if (taken.epoch, taken.turn) != (self.ref.epoch, traffic.next_turn(self.ref.epoch)):
            raise Moved(f"the proxy of {self.proxy.host} was taken by another attempt meanwhile; looked at again")
        return taken

    async def switch(self, traffic: Traffic, upstream: str) -> None:
        """Raises Moved when somebody took it since."""
        tell("switching the traffic")
        await self.proxy.send(traffic, upstream, self.ref.epoch)

    async def drain(self, upstream: str) -> None:
        """Wait until it has answered no request for a while, as long as the project allows."""
        tell("waiting for the last requests of the old one")
        busy = time.monotonic()
        deadline = busy + self.table.drain.total_seconds()
        while (now := time.monotonic()) < deadline:
            if await self.proxy.under_way(upstream):
                busy = now
            elif now - busy >= self.quiet:
                return
            await asyncio.sleep(_EVERY)

    @property
    def upstreams(self) -> list[str]:
        return [f"{address}:{self.environment.container_port}" for address in self.table.addresses]

    def free(self, traffic: Traffic, serving: Member | None) -> str:
        """The upstream for a container that gets no traffic before a switch."""
        return next(upstream for upstream in self.upstreams if upstream != self._now(traffic, serving))

    def _now(self, traffic: Traffic, serving: Member | None) -> str:
        return serving.upstream if serving else traffic.upstream or self.upstreams[0]


async def looked(crossing: Crossing, service: HostedService) -> Traffic:
    """As `Crossing.look`; where a later run was here, what this one created too late goes, it was never started."""
    try:
        return await crossing.look()
    except Refused as refused:
        if refused.cause is Cause.FENCED:
            await service.withdraw(await service.see())
        raise


def in_traffic(family: Family, traffic: Traffic) -> Member | None:
    """The container that the requests reach; of those with one address only one can run."""
    return next((m for m in family.members if m.alive and m.upstream and m.upstream == traffic.upstream), None)


def serving(family: Family, traffic: Traffic, recorded: str | None) -> Member | None:
    """The same; where the proxy sends requests to nobody, the one that should have them."""
    found = in_traffic(family, traffic)
    if found:
        return found
    should = family.predecessor(recorded)
    # One that only ever stood beside another never proved itself.
    served = should is not None and should.part in {Part.SERVING, Part.OLD}
    return should if should and served and should.alive and should.upstream else None
