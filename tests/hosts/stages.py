"""Something that happens to a swap before a chosen one of its calls to the engine or the proxy."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, cast

from activities.answers import Probe
from activities.clients.hosts import Hosts
from activities.crossing import HostProxy
from activities.hosted_service import HostEngine
from runbook.project import EnvironmentTable
from runbook.proxy_table import ProxyTable

Happening = Callable[[int, str], Awaitable[None]]


class StagedHosts:
    """Hosts that let `happen` run before each call to engine or proxy: with the call's number, from 1, and its name."""

    def __init__(self, hosts: Hosts, happen: Happening) -> None:
        self._hosts = hosts
        self._happen = happen
        self._numbers = itertools.count(1)

    async def engine(self, environment: EnvironmentTable, host: str) -> HostEngine:
        return cast("HostEngine", _Staged(await self._hosts.engine(environment, host), self._before))

    async def proxy(self, environment: EnvironmentTable, table: ProxyTable, host: str) -> HostProxy:
        return cast("HostProxy", _Staged(await self._hosts.proxy(environment, table, host), self._before))

    async def inside(self, environment: EnvironmentTable, host: str, upstream: str) -> Probe:
        return await self._hosts.inside(environment, host, upstream)

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes:
        return await self._hosts.read(environment, host, path)

    async def _before(self, name: str) -> None:
        await self._happen(next(self._numbers), name)


class _Staged:
    def __init__(self, what: HostEngine | HostProxy, before: Callable[[str], Awaitable[None]]) -> None:
        self._what = what
        self._before = before
        self.host = what.host

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._what, name)

        async def called(*args: Any) -> Any:
            await self._before(name)
            return await call(*args)

        return called
