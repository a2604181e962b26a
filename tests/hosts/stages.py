"""Something that happens to a swap before a chosen one of its engine calls."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from activities.clients.hosts import Hosts
from activities.hosted_service import HostEngine
from runbook.project import EnvironmentTable

Happening = Callable[[int, str], Awaitable[None]]


class StagedHosts:
    """Hosts whose engines let `happen` run before each call: with the call's number, from 1, and its name."""

    def __init__(self, hosts: Hosts, happen: Happening) -> None:
        self._hosts = hosts
        self._happen = happen

    async def engine(self, environment: EnvironmentTable, host: str) -> HostEngine:
        return cast("HostEngine", _Staged(await self._hosts.engine(environment, host), self._happen))

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes:
        return await self._hosts.read(environment, host, path)


class _Staged:
    def __init__(self, engine: HostEngine, happen: Happening) -> None:
        self._engine = engine
        self._happen = happen
        self._calls = 0
        self.host = engine.host

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)

        async def called(*args: Any) -> Any:
            self._calls += 1
            await self._happen(self._calls, name)
            return await call(*args)

        return called
