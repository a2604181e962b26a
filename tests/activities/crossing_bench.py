"""A service behind a proxy, for tests: the containers of a bench, each at an address of its own, and a proxy in memory."""

import asyncio
import contextlib
import dataclasses
import itertools
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx

from activities.answers import Probe
from activities.clients.caddy import Traffic
from activities.clients.engine_container import Container, ContainerToCreate
from activities.clients.engine_errors import Moved
from activities.clients.health import HttpProbe
from activities.crossing import Crossing, HostProxy
from activities.errors import StepError
from activities.hosted_service import HostedService, HostEngine
from activities.strategy import Means
from activities.way_back import way_back
from deploy.sandbox.engine_http import local_client
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import RestoredHost, SwappedContainer, WayBack, WayBackToRecord
from tests.activities.host_bench import (
    ADDRESS,
    SETTLE,
    Bench,
    Killed,
    put_back_order,
    ref,
    swap_order,
    telling,
)
from tests.epochs import epoch_of, in_short

T = TypeVar("T")
PORT = 8080
QUIET = 0.05
_numbers = itertools.count()


async def lines() -> list[str]:
    return ["COLOUR=green"]


async def never(seconds: float) -> bool:
    """Behind a proxy the service's own address proves nothing about the new one."""
    await asyncio.sleep(seconds)
    return False


@dataclass
class MemoryProxy:
    """As Caddy: a change that saw another state than there is fails. `unfit` are switches to what was not well."""

    host: str = ADDRESS
    now: Traffic = field(default_factory=lambda: Traffic(None, seen="nothing"))
    busy: dict[str, int] = field(default_factory=dict[str, int])
    sent: list[str] = field(default_factory=list[str])
    unfit: list[str] = field(default_factory=list[str])

    async def traffic(self) -> Traffic:
        return self.now

    async def send(self, last: Traffic, upstream: str, epoch: int) -> None:
        if last.seen != self.now.seen:
            raise Moved("the proxy was changed by somebody else meanwhile")
        if upstream != self.now.upstream and self.sent and await answer(upstream, "/health") is None:
            self.unfit.append(upstream)
        self.sent.append(upstream)
        self.now = Traffic(upstream, epoch, last.next_turn(epoch), f"{upstream} {epoch} {last.next_turn(epoch)}")

    async def under_way(self, upstream: str) -> int:
        return self.busy.get(upstream, 0)


class Cut:
    """Stops whoever works with what it is put around just before a call: killed, or frozen until `thaw` is set."""

    def __init__(self, at: int | str, thaw: asyncio.Event | None = None) -> None:
        self._at = at
        self._thaw = thaw
        self.calls = 0
        self.frozen = asyncio.Event()

    def around(self, what: T) -> T:
        return cast("T", _Around(what, self))

    async def passing(self, name: str) -> None:
        self.calls += 1
        if self._at in {self.calls, name} and not self.frozen.is_set():
            if self._thaw is None:
                raise Killed
            self.frozen.set()
            await self._thaw.wait()


class _Around:
    def __init__(self, what: Any, cut: Cut) -> None:
        self._what = what
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._what, name)
        if not callable(found):
            return found

        async def call(*args: Any) -> Any:
            await self._cut.passing(name)
            return await found(*args)

        return call


@dataclass
class Behind:
    """One service behind its proxy."""

    bench: Bench
    environment: EnvironmentTable
    proxy: MemoryProxy = field(default_factory=MemoryProxy)

    @classmethod
    def of(cls, bench: Bench, container: str = "shop", **changes: Any) -> "Behind":
        number = next(_numbers) % 110
        pair = [f"127.{number * 2 + each}.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}" for each in (10, 11)]
        given = {
            "strategy": "blue_green",
            "proxy": {"handler": "shop", "network": "shop", "addresses": pair},
            "publish_on": None,
            "good_answers": 1,
            "health_deadline": "30s",
        }
        return cls(bench, bench.environment(container, **{**given, **changes}))

    @property
    def upstreams(self) -> list[str]:
        assert self.environment.proxy
        return [f"{address}:{PORT}" for address in self.environment.proxy.addresses]

    async def means(self, epoch: int, cut: Cut | None = None, inside: Any = None) -> Means:
        table = self.environment.proxy
        assert table
        engine: HostEngine = self.bench.engine
        proxy: HostProxy = self.proxy
        if cut:
            engine, proxy = cut.around(engine), cut.around(proxy)
        crossing = Crossing(proxy, inside or _direct, self.environment, table, ref(epoch), QUIET)
        return Means(engine, lines, SETTLE, crossing)

    async def swap(
        self, image: Image, epoch: int, *, back: WayBack | None = None, cut: Cut | None = None, inside: Any = None
    ) -> SwappedContainer:
        means = await self.means(epoch, cut, inside)
        return await telling(means.swap(swap_order(self.environment, image, epoch, back), never))

    async def put_back(self, back: WayBack, epoch: int, failed: int, cut: Cut | None = None) -> RestoredHost:
        order = put_back_order(self.bench, self.environment, epoch, back, failed)
        return await telling((await self.means(epoch, cut)).put_back(order))

    async def recorded(self, epoch: int) -> WayBack:
        order = WayBackToRecord(
            ref=ref(epoch), environment=self.environment, host=ADDRESS, artifact=self.bench.artifact()
        )
        return await way_back(self.bench.engine, order)

    async def killed(self, image: Image, epoch: int, at: int | str, back: WayBack | None = None) -> None:
        """One attempt that dies before this call, or ends by itself before it comes to that."""
        with contextlib.suppress(Killed, StepError):
            await self.swap(image, epoch, back=back, cut=Cut(at))

    async def same_address(self, image: Image, upstream: str, epoch: int) -> ContainerToCreate:
        """The service's own container of this image, but at an address that is not free."""
        service = HostedService(self.bench.engine, self.environment, ref(epoch), SETTLE)
        made = service.container(image.reference, image.version, image.digest, [], upstream)
        return dataclasses.replace(made, name=self.environment.container)

    async def seen(self) -> dict[str, Container]:
        seen = await self.bench.seen(self.environment)
        return {in_short(c.name.replace(self.environment.container, "shop", 1)): c for c in seen}

    async def shape(self) -> dict[str, tuple[str, str]]:
        return {name: (c.id, c.state) for name, c in (await self.seen()).items()}

    async def states(self) -> dict[str, str]:
        return {name: c.state for name, c in (await self.seen()).items()}

    async def served(self) -> str | None:
        """The version that whoever asks the proxy gets; None where nobody answers."""
        return await answer(self.proxy.now.upstream, "/version") if self.proxy.now.upstream else None

    async def assert_swapped(self, image: Image, epoch: int, kept: str) -> None:
        seen = await self.seen()
        assert {name: c.state for name, c in seen.items()} == {"shop": "running", f"shop-old-{epoch}": "exited"}
        assert seen["shop"].labels["runbook.upstream"] == self.proxy.now.upstream
        assert (seen["shop"].labels["runbook.epoch"], seen[f"shop-old-{epoch}"].id) == (str(epoch_of(epoch)), kept)
        assert (await self.served(), self.proxy.unfit) == (image.tag, [])


async def answer(upstream: str, path: str) -> str | None:
    """What a well service says at this path: its version."""
    async with local_client(timeout=2) as http:
        with contextlib.suppress(httpx.TransportError):
            said = await http.get(f"http://{upstream}{path}")
            if said.status_code == 200:
                return str(said.json()["version"])
    return None


async def _direct(_: str) -> Probe:
    return _PROBE


class _Lazy:
    """One probe for all: what it costs to make one is its certificates, which nobody here asks for."""

    async def look(self, url: str) -> Any:
        async with local_client(timeout=2) as http:
            return await HttpProbe(within=2, client=http).look(url)


_PROBE = _Lazy()

Making = Callable[[Behind, int], Awaitable[None]]


async def sweep(bench: Bench, calls: Iterable[int], one: Making, **changes: Any) -> None:
    """A service for each call, all beside each other, so that it takes the time of its slowest."""
    async with asyncio.TaskGroup() as group:
        for at in calls:
            behind = Behind.of(bench, f"shop{chr(97 + at // 26)}{chr(97 + at % 26)}", **changes)
            group.create_task(_noted(one, behind, at))


async def _noted(one: Making, behind: Behind, at: int) -> None:
    try:
        await one(behind, at)
    except BaseException as error:
        error.add_note(f"stopped before call {at}")
        raise
