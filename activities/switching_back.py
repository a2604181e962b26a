"""Returns a host behind a proxy to what it ran before: that one is started beside the failed one, proven, and switched to."""

from collections.abc import Sequence

from activities.clients.caddy import Traffic
from activities.clients.engine_errors import NotStarted
from activities.crossing import Crossing, in_traffic, looked
from activities.family import Family, Member, Part
from activities.heartbeat import ended, tell
from activities.hosted_service import HostEngine
from activities.proof import Proof
from activities.putting_back import PuttingBack
from activities.swap import Lines
from runbook.service import HostToPutBack, RestoredHost

_Named = Sequence[tuple[Member, str]]


class SwitchingBack(PuttingBack):
    """One attempt. What has the traffic keeps it until the one before has proven itself again."""

    def __init__(self, engine: HostEngine, order: HostToPutBack, lines: Lines, crossing: Crossing) -> None:
        super().__init__(engine, order, lines, settle=order.environment.health_deadline)
        self._crossing = crossing

    async def _attempt(self) -> RestoredHost:
        family = await self._fenced()
        if self._was_never_left(family):
            return await self._finished(family, family.serving)
        traffic = await looked(self._crossing, self._service)
        family = await self._service.look()
        if not self._is_back(family, traffic):
            await self._return(traffic, family)
            traffic = await looked(self._crossing, self._service)
            family = await self._service.look()
            if not self._is_back(family, traffic):
                raise self._service.moved()
        return await self._finished(family, self._target(family))

    def _was_never_left(self, family: Family) -> bool:
        """A swap refuses what publishes a port before it touches anything: where there is nothing of it, so it was."""
        recorded = family.with_id(self._back.container_id)
        if recorded is None or recorded is not family.serving or not recorded.alive or recorded.upstream:
            return False
        made = [member for member in family.members if self._is_failed(member) or family.is_mine(member)]
        return all(member.part is Part.FENCE for member in made)

    def _is_back(self, family: Family, traffic: Traffic) -> bool:
        """The proxy is in this run's hands: otherwise a switch of the failed one could still come."""
        target = self._target(family)
        has_traffic = target is None or target.upstream == traffic.upstream
        return traffic.epoch == self._order.ref.epoch and has_traffic and self._is_done(family)

    def _target(self, family: Family) -> Member | None:
        """One that publishes a port of its own can't stand beside another."""
        return super()._target(Family([m for m in family.members if m.upstream], family.own))

    async def _return(self, traffic: Traffic, family: Family) -> None:
        serves, target = in_traffic(family, traffic), self._target(family)
        upstream = target.upstream if target else self._crossing.free(traffic, serves)
        await self._crossing.inside(upstream)
        if target is None and self._is_recorded:
            await self._create_anew(upstream)
            family = await self._service.look()
            target = self._to_run(family)
        traffic = await self._crossing.take(traffic, serves)
        gone = self._gone(family, target)
        if target is None or (serves and target.id == serves.id):
            await self._settle_on(target, gone)
            return
        # What has the traffic stays until the switch, unless both have the one address.
        last = [(m, name) for m, name in gone if serves and m.id == serves.id and m.upstream != upstream]
        await self._start_beside(target, [each for each in gone if each not in last])
        await ended(self._switch(traffic, upstream, self._name_of(target), last))

    async def _settle_on(self, target: Member | None, gone: _Named) -> None:
        """Nothing to switch: what should serve does, or nothing should."""
        await self._service.take(gone)
        if target and target.name != self._own.serving:
            await self._engine.rename(target.name, self._own.serving)
        if target:
            await self._engine.set_restart(self._own.serving, self._order.environment.restart)
        for member, name in gone:
            if target:
                await self._crossing.drain(member.upstream)
            await self._service.end(name)

    def _name_of(self, target: Member) -> str:
        return target.name if target.name == self._own.new else self._own.back

    async def _start_beside(self, target: Member, gone: _Named) -> None:
        name = self._name_of(target)
        await self._service.take([(target, name), *gone])
        for _, each in gone:
            await self._service.end(each)
        if target.alive:
            # It may be about to end: the failed release's stop may be under way.
            await self._engine.stop(name, self._order.environment.stop_timeout)
        await self._engine.set_restart(name, self._order.environment.restart)
        tell("starting what ran before, beside the failed one")
        try:
            await self._engine.start(name)
        except NotStarted as error:
            raise self._not_up(str(error), []) from None
        fault = await Proof(self._engine, self._crossing, target.upstream, self._back.version).fault_of(name)
        if fault:
            raise self._not_up(fault.what, await self._service.last_words(name))

    async def _switch(self, traffic: Traffic, upstream: str, name: str, last: _Named) -> None:
        await self._crossing.switch(traffic, upstream)
        await self._service.take(last)
        await self._engine.rename(name, self._own.serving)
        for member, each in last:
            await self._crossing.drain(member.upstream)
            await self._service.end(each)
