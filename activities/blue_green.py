"""Replaces what serves behind a proxy: create, start beside it, prove, switch, hand the name over, drain, stop."""

from typing import NoReturn

from activities.clients.caddy import Traffic
from activities.clients.engine_errors import NotStarted
from activities.crossing import Crossing, in_traffic, looked, serving
from activities.errors import Refused, StepError, Unreachable
from activities.family import Family, Member, Part
from activities.heartbeat import ended, tell
from activities.hosted_service import HostEngine
from activities.proof import Proof
from activities.swap import Lines, Swap, told_of
from runbook.service import SwappedContainer, SwapToMake
from runbook.span import spoken
from runbook.trouble import Cause


class BlueGreen(Swap):
    """One attempt. Until the switch nothing of what serves is touched, not even its name."""

    def __init__(self, engine: HostEngine, order: SwapToMake, lines: Lines, crossing: Crossing) -> None:
        super().__init__(engine, order, lines, settle=order.environment.health_deadline)
        self._crossing = crossing

    async def _attempt(self) -> SwappedContainer:
        traffic = await looked(self._crossing, self._service)
        family = await self._service.look()
        if not self._is_switched(family, traffic):
            self._refuse_if_changed(family)
            await self._cross(traffic, family)
            family = await self._service.look()
        if not self._is_over(family):
            await self._hand_over(family)
            family = await self._service.look()
        return await self._finished(family)

    def _is_switched(self, family: Family, traffic: Traffic) -> bool:
        made = self._made(family)
        return made is not None and made is in_traffic(family, traffic) and made.container.running

    def _is_over(self, family: Family) -> bool:
        return self._is_done(family) and not any(member.alive for member, _ in self._to_take(family))

    async def _cross(self, traffic: Traffic, family: Family) -> None:
        made, serves = self._made(family), serving(family, traffic, self._recorded)
        if made and made.ended:
            await ended(self._give_up([], Cause.CONTAINER_EXITED))
        up = made if made and made.alive else None
        upstream = up.upstream if up else self._crossing.free(traffic, serves)
        # A way that the host does not let us go is refused before anything is there.
        await self._crossing.inside(upstream)
        if up is None:
            await self._prepare_new(family, upstream)
        traffic = await self._crossing.take(traffic, serves)
        await self._make_room(family, serves)
        await self._prove(up.name if up else self._own.new, upstream)
        await ended(self._crossing.switch(traffic, upstream))

    async def _make_room(self, family: Family, serves: Member | None) -> None:
        """Off with what gets no traffic: it may hold the address, and one only created must not be started any more."""
        spare = [(m, name) for m, name in self._to_take(family) if m is not serves and m.alive]
        never = [(m, self._own.gone(m.container)) for m in family.members if self._is_anothers_new(family, m)]
        await self._service.take([*spare, *never])
        for _, name in [*spare, *never]:
            await self._service.end(name)

    def _is_anothers_new(self, family: Family, member: Member) -> bool:
        return member.part is Part.NEW and not member.alive and not family.is_mine(member)

    async def _prove(self, name: str, upstream: str) -> None:
        tell("starting the new one beside the old one")
        try:
            await self._engine.start(name)
        except NotStarted as error:
            await ended(self._give_up([str(error)], Cause.CONTAINER_EXITED, retryable=error.retryable))
        fault = await Proof(self._engine, self._crossing, upstream, self._order.image.version).fault_of(name)
        if fault:
            await ended(self._give_up([fault.what], fault.cause))

    async def _hand_over(self, family: Family) -> None:
        taken = self._to_take(family)
        await self._service.take(taken)
        if self._made(family) is not family.serving:
            await self._engine.rename(self._own.new, self._own.serving)
        for member, name in taken:
            if member.alive:
                await self._crossing.drain(member.upstream)
            await self._service.end(name)

    async def _give_up(self, seen: list[str], cause: Cause, *, retryable: bool = False) -> NoReturn:
        """The new one goes, what served serves on; where the new one had the traffic already, it is given back."""
        tell("keeping the old one")
        traffic = await looked(self._crossing, self._service)
        family = await self._service.look()
        made, old = self._made(family), family.predecessor(self._recorded)
        had_traffic = made is not None and made.upstream == traffic.upstream
        if made is None or (had_traffic and made.container.running):
            raise self._service.moved()
        # No other attempt of this run switches to it any more, while it is being ended.
        traffic = await self._crossing.take(traffic, serving(family, traffic, self._recorded))
        await self._service.take([(made, self._own.new)])
        if had_traffic and old and old.upstream:
            await self._give_back(traffic, old)
        await self._service.end(self._own.new)
        evidence = [*seen, *await self._service.last_words(made.id)]
        await self._service.drop([made])
        raise self._given_up(old, cause, evidence, retryable=retryable)

    def _given_up(self, old: Member | None, cause: Cause, evidence: list[str], *, retryable: bool) -> StepError:
        what = "did not stay up" if cause is Cause.CONTAINER_EXITED else "did not prove itself"
        within = spoken(self._order.environment.health_deadline)
        return (Unreachable if retryable else Refused)(
            f"{self._engine.host}: the container of {self._order.image.tag} {what} within {within} and got no traffic, "
            f"{f'{told_of(old)} serves on' if old else 'nothing ran before'}: read its log, check {self._order.environment.env_file}",
            cause=cause,
            evidence=evidence,
        )

    async def _give_back(self, traffic: Traffic, old: Member) -> None:
        """The new one ended after the switch: what served before is still there, running or stopped."""
        name = self._own.back
        await self._service.take([(old, name)])
        await self._engine.set_restart(name, self._order.environment.restart)
        try:
            await self._engine.start(name)
        except NotStarted as error:
            raise self._nothing_serves(old, str(error)) from None
        if fault := await Proof(self._engine, self._crossing, old.upstream, None).fault_of(name):
            raise self._nothing_serves(old, fault.what)
        await self._crossing.switch(traffic, old.upstream)
        await self._engine.rename(name, self._own.serving)

    def _nothing_serves(self, old: Member, why: str) -> Unreachable:
        return Unreachable(
            f"{self._engine.host}: neither {self._order.image.tag} nor {told_of(old)} is fit for traffic, nothing serves there: {why}",
            cause=Cause.CONTAINER_EXITED,
        )
