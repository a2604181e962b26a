"""The steps on a host: probe, pull, way back, swap, logs, putting back, and what the engine itself lists."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Protocol

from activities.answers import Probe, ask
from activities.binding import performs
from activities.clients.engine_errors import Moved
from activities.crossing import Crossing, HostProxy
from activities.downtime import Downtime, Measured
from activities.env_file import parsed
from activities.errors import Refused, Unreachable
from activities.family import Family, Member, Names
from activities.hosted_service import HostEngine
from activities.local_image import pulled
from activities.masking import mask_of
from activities.progress import handed_on
from activities.rehearsal import rehearsed
from activities.staging import returned
from activities.strategy import Means
from activities.way_back import way_back
from runbook import steps
from runbook.project import EnvironmentTable
from runbook.proxy_table import ProxyTable
from runbook.service import (
    FetchedLogs,
    HealthToVerify,
    HostOrder,
    HostToProbe,
    HostToPutBack,
    ImageToPull,
    LogsToFetch,
    ProbedHost,
    PulledImage,
    RehearsedRollback,
    RestoredHost,
    RollbackToRehearse,
    RunningHost,
    StagingToPutBack,
    SwappedContainer,
    SwapToMake,
    WayBack,
    WayBackToRecord,
)
from runbook.span import spoken
from runbook.trouble import Cause

_LINES_KEPT = 20
_FIRST_ANSWER = timedelta(seconds=5)


class Hosts(Protocol):
    async def engine(self, environment: EnvironmentTable, host: str) -> HostEngine: ...
    async def proxy(self, environment: EnvironmentTable, table: ProxyTable, host: str) -> HostProxy: ...
    async def inside(self, environment: EnvironmentTable, host: str, upstream: str) -> Probe: ...
    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes: ...


class HostActivities:
    """`settle`: how long a container just started is watched for ending at once."""

    def __init__(self, hosts: Hosts, probe: Probe, settle: timedelta = timedelta(seconds=1)) -> None:
        self._hosts = hosts
        self._probe = probe
        self._settle = settle

    @performs(steps.STAGING_HEALTHY)
    async def probe(self, order: HostToProbe) -> ProbedHost:
        """The service answers that it is well; a host on which nothing was ever deployed is fine too."""
        host, url = order.host, order.environment.health_url(order.host)
        serving = (await self._family(order)).predecessor()
        if serving is None:
            return ProbedHost(summary=f"{host} runs no {order.environment.container} yet", version=None)
        try:
            health = await self._probe.look(url)
        except Unreachable as silent:
            raise Unreachable(f"{host}: {silent}", cause=Cause.UNHEALTHY, evidence=[str(serving)]) from None
        if not health.healthy:
            raise Unreachable(
                f"{host} is not healthy: {url} says {health.said}; repair it or run an image there that is well, then retry",
                cause=Cause.UNHEALTHY,
                evidence=[f"{url}: {health.said}", str(serving)],
            )
        stated = (await self._probe.look(order.environment.version_url(host))).version
        return ProbedHost(
            summary=f"{host} is healthy as {stated or 'an unknown version'}"[:149],
            evidence=[f"{url}: {health.said}", str(serving)],
            version=stated,
        )

    @performs(steps.PULL)
    async def pull(self, order: ImageToPull) -> PulledImage:
        engine, image = await self._engine(order), order.image
        local = await pulled(engine, image.repository, image.digest, order.credentials)
        return PulledImage(
            summary=f"{order.host} has {image.tag}", evidence=[image.pinned, f"id {local.id}"], image_id=local.id
        )

    @performs(steps.WAY_BACK)
    async def record_way_back(self, order: WayBackToRecord) -> WayBack:
        return await way_back(await self._engine(order), order)

    @performs(steps.STAGE)
    async def stage(self, order: SwapToMake) -> SwappedContainer:
        return await self._swap(order)

    @performs(steps.REHEARSE)
    async def rehearse(self, order: RollbackToRehearse) -> RehearsedRollback:
        means = await self._means(order)
        async with Downtime(self._probe, order.environment.health_url(order.host), {}) as downtime:
            return await rehearsed(means, order, downtime.answers)

    @performs(steps.PUT_STAGING_BACK)
    async def put_staging_back(self, order: StagingToPutBack) -> RestoredHost:
        return await returned(await self._means(order), order)

    @performs(steps.SWAP)
    async def swap(self, order: SwapToMake) -> SwappedContainer:
        return await self._swap(order)

    @performs(steps.RETURN)
    async def go_back_to(self, order: SwapToMake) -> SwappedContainer:
        return await self._swap(order)

    @performs(steps.PUT_BACK)
    async def put_back(self, order: HostToPutBack) -> RestoredHost:
        return await (await self._means(order)).put_back(order)

    @performs(steps.LOGS)
    async def fetch_logs(self, order: LogsToFetch) -> FetchedLogs:
        """The tail of the container's log, of the serving one without an id; none is a finding as well."""
        engine = await self._engine(order)
        name = order.container_id or order.environment.container
        try:
            details = await engine.inspect(name)
            lines = await engine.logs(details.id, order.lines, await mask_of(details, engine))
        except Moved:
            return FetchedLogs(summary=f"{order.host} has no container {name[:64]}")
        return FetchedLogs(summary=f"{order.host}: {len(lines)} lines of {name[:64]}", evidence=lines[-_LINES_KEPT:])

    @performs(steps.VERIFY)
    async def verify(self, order: HealthToVerify) -> RunningHost:
        """Healthy, in the right version, and the engine's own list shows exactly the pinned image up."""
        environment, host, image = order.environment, order.host, order.pinned
        engine = await self._engine(order)
        serving = (await self._family(order)).serving
        is_pinned = serving is not None and await _is_pinned(engine, serving, order)
        seen = await ask(self._probe, environment.health_url(host), environment.version_url(host), image.version)
        evidence = [_listed(serving), *seen.lines]
        if serving is None or not is_pinned:
            raise Refused(
                f"{host} does not list {image.reference} as {environment.container}, up: it has {_listed(serving)}; "
                "somebody changed it since the swap",
                cause=Cause.UNHEALTHY,
                evidence=evidence,
            )
        if seen.fault:
            raise Unreachable(f"{host}: {seen.fault.what}", cause=seen.fault.cause, evidence=evidence)
        return RunningHost(
            summary=f"{host} lists {image.tag} as {environment.container}, {serving.container.status}"[:149],
            evidence=evidence,
            host=host,
            container_id=serving.id,
        )

    async def _swap(self, order: SwapToMake) -> SwappedContainer:
        means = await self._means(order)
        async with Downtime(self._probe, order.environment.health_url(order.host), handed_on()) as downtime:
            made = await means.swap(order, downtime.answers)
            await downtime.answers(_patience(order))
            return _within_budget(order, made, downtime.measured)

    async def _means(self, order: HostOrder) -> Means:
        return Means(await self._engine(order), self._lines(order), self._settle, await self._crossing(order))

    async def _crossing(self, order: HostOrder) -> Crossing | None:
        environment, host = order.environment, order.host
        if environment.proxy is None:
            return None
        proxy = await self._hosts.proxy(environment, environment.proxy, host)
        inside = partial(self._hosts.inside, environment, host)
        return Crossing(proxy, inside, environment, environment.proxy, order.ref)

    def _lines(self, order: HostOrder) -> Callable[[], Awaitable[list[str]]]:
        environment, host = order.environment, order.host

        async def read() -> list[str]:
            content = await self._hosts.read(environment, host, environment.env_file)
            return parsed(content, f"{host}:{environment.env_file}")

        return read

    async def _engine(self, order: HostOrder) -> HostEngine:
        return await self._hosts.engine(order.environment, order.host)

    async def _family(self, order: HostOrder) -> Family:
        engine = await self._engine(order)
        own = Names(order.environment.container, order.ref.epoch)
        return Family.among(await engine.containers(), own, order.ref.project)


def _patience(order: SwapToMake) -> float:
    """Seconds to wait for the new one's first good answer: what comes later is for the health step to see."""
    allowed = max(_FIRST_ANSWER, order.max_downtime or _FIRST_ANSWER)
    return min(allowed, order.environment.health_deadline).total_seconds()


def _within_budget(order: SwapToMake, made: SwappedContainer, seen: Measured) -> SwappedContainer:
    budget = order.max_downtime
    if budget is not None and seen.was_up and seen.longest_gap > budget.total_seconds():
        raise Refused(
            f"{order.host} was away for {seen.longest_gap:.2f} s during the swap, max_downtime allows {spoken(budget)}: "
            "make the service stop and start faster, or allow more in the project's file",
            cause=Cause.UNHEALTHY,
            evidence=[str(seen), *made.evidence],
        )
    return made.model_copy(
        update={
            "summary": f"{made.summary}; {seen}"[:149],
            "requests": seen.requests,
            "failures": seen.failures,
            "longest_gap": seen.longest_gap,
            "downtime": str(seen),
        }
    )


async def _is_pinned(engine: HostEngine, serving: Member, order: HealthToVerify) -> bool:
    container, image = serving.container, order.pinned
    if not container.running or order.container_id not in {None, serving.id}:
        return False
    if container.image == image.reference:
        # An engine lists a reference only as long as it still names the image that runs.
        return True
    local = await engine.image(image.pinned)
    return local is not None and container.image_id == local.id


def _listed(serving: Member | None) -> str:
    """As `docker ps` shows it."""
    shown = serving.container if serving else None
    return f"{shown.name} {shown.image} {shown.status}" if shown else "no such container"
