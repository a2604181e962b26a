"""Replaces what serves on a host: create, take the name, stop, start, hand the name over; or put the old one back."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NoReturn

from activities.clients.engine_container import ContainerToCreate, LocalImage
from activities.clients.engine_errors import Moved, NotStarted
from activities.env_file import variables
from activities.errors import Refused, Unreachable
from activities.family import LABEL_UPSTREAM, Family, Member, Part
from activities.heartbeat import ended, tell
from activities.hosted_service import Answers, HostedService, HostEngine
from activities.local_image import held
from activities.rounds import rounds
from runbook.service import SwappedContainer, SwapToMake
from runbook.trouble import Cause

Lines = Callable[[], Awaitable[list[str]]]


class Swap:
    """One attempt. It may be killed between any two calls, and may go on after others took its place."""

    def __init__(
        self, engine: HostEngine, order: SwapToMake, lines: Lines, settle: timedelta, answers: Answers | None = None
    ) -> None:
        """`lines` reads the env file, where a container has to be created; `settle`, `answers`: see HostedService."""
        self._engine = engine
        self._order = order
        self._lines = lines
        self._service = HostedService(engine, order.environment, order.ref, settle, answers)
        self._own = self._service.own
        self._recorded = order.way_back.container_id if order.way_back else None

    async def make(self) -> SwappedContainer:
        """Make it, or find it made.

        Raises:
            Refused: a later run was here (cause FENCED), the new container ends at once (CONTAINER_EXITED, the old
                one serves again), or the host does not run what was recorded.
            Unreachable: the engine did not answer, the image is not to be had, the port is still taken.
        """
        return await rounds(self._attempt, self._tidied)

    async def _tidied(self) -> None:
        """Where it is made already, by whichever attempt: without what was created in vain."""
        family = await self._service.look()
        if self._is_done(family):
            await self._finished(family)

    async def _attempt(self) -> SwappedContainer:
        family = await self._service.look()
        if self._is_done(family):
            return await self._finished(family)
        self._refuse_if_changed(family)
        made = self._made(family)
        if made and made.ended:
            await ended(self._put_old_back([]))
        await self._prepare_new(family)
        taken = self._to_take(family)
        family = await self._service.take(taken)
        if self._is_done(family):
            raise self._service.moved()
        await ended(self._change_over([name for _, name in taken]))
        family = await self._changed(family, taken)
        if not self._is_done(family):
            raise self._service.moved()
        return await self._finished(family)

    async def _changed(self, family: Family, taken: Sequence[tuple[Member, str]]) -> Family:
        """The family after the change: as each call left it where the service answers, else looked at once more."""
        made = family.named(self._own.new)
        if made is None or not self._service.answered:
            return await self._service.look()
        return family.after([(made, self._own.serving, "running"), *((m, name, "exited") for m, name in taken)])

    async def _prepare_new(self, family: Family, upstream: str = "") -> None:
        leftover = family.named(self._own.new)
        if leftover and leftover.alive:
            return
        image = self._order.image
        wanted = self._service.container(image.reference, image.version, image.digest, await self._lines(), upstream)
        if leftover and await self._is_as(leftover, wanted, await self._held()):
            return
        if leftover:
            await self._engine.remove(leftover.id)
        try:
            await self._engine.create(wanted)
        except Moved:
            # The image is not there, or the name is not free: then this says so again.
            await self._held()
            await self._engine.create(wanted)

    async def _held(self) -> LocalImage:
        image = self._order.image
        return (await held(self._engine, image.repository, image.digest, self._order.credentials))[0]

    async def _is_as(self, leftover: Member, wanted: ContainerToCreate, image: LocalImage) -> bool:
        """The env file may have been corrected since a killed attempt created it."""
        made = await self._engine.inspect(leftover.id)
        return (
            leftover.digest == self._order.image.digest
            and made.image == wanted.image
            and made.port_bindings == wanted.port_bindings
            and leftover.upstream == wanted.labels.get(LABEL_UPSTREAM, "")
            and variables(made.environment) == variables([*image.environment, *wanted.environment])
        )

    def _to_take(self, family: Family) -> list[tuple[Member, str]]:
        """The old one, and whatever else of the service runs after a run that was cut short: it holds the port."""
        old = family.predecessor(self._recorded)
        beside = [m for m in family.members if m.alive and m is not old and m is not self._made(family)]
        others = [m for m in beside if family.is_ours(m, self._recorded)]
        return [*([(old, self._own.old)] if old else []), *((m, self._own.gone(m.container)) for m in others)]

    async def _change_over(self, taken: Sequence[str]) -> None:
        """From the stop to the name: brief, and ended even when cancelled meanwhile."""
        tell("stopping the old one")
        for name in taken:
            await self._service.end(name)
        tell("starting the new one")
        try:
            await self._engine.start(self._own.new)
        except NotStarted as error:
            await self._put_old_back([str(error)], retryable=error.retryable)
        if failure := await self._service.failure_of(self._own.new):
            await self._put_old_back([failure.told])
        await self._engine.rename(self._own.new, self._own.serving)

    async def _put_old_back(self, seen: list[str], *, retryable: bool = False) -> NoReturn:
        """Also what an attempt does first that finds the new one ended: the one before was killed right here."""
        tell("putting the old one back")
        family = await self._service.look()
        made, old = self._made(family), family.predecessor(self._recorded)
        if made is None or self._is_done(family):
            raise self._service.moved()
        is_back = old is not None and old.name == self._own.serving and old.alive
        await self._service.take([(made, self._own.new), *([(old, self._own.back)] if old and not is_back else [])])
        await self._service.end(self._own.new)
        if old and not is_back:
            await self._start_old(old)
        evidence = [*seen, *await self._service.last_words(made.id)]
        await self._service.drop([made])
        raise (Unreachable if retryable else Refused)(
            f"{self._engine.host}: the container of {self._order.image.tag} did not stay up, "
            f"{f'{told_of(old)} serves again' if old else 'nothing ran before'}: read its log, check {self._order.environment.env_file}",
            cause=Cause.CONTAINER_EXITED,
            evidence=evidence,
        )

    async def _start_old(self, old: Member) -> None:
        await self._engine.set_restart(self._own.back, self._order.environment.restart)
        try:
            await self._engine.start(self._own.back)
        except NotStarted as error:
            raise Unreachable(
                f"{self._engine.host}: neither {self._order.image.tag} nor {told_of(old)} starts, nothing serves there: {error}",
                cause=Cause.CONTAINER_EXITED,
            ) from None
        await self._engine.rename(self._own.back, self._own.serving)

    async def _finished(self, family: Family) -> SwappedContainer:
        """The old one stays until the next release, those before it go."""
        serving = family.serving
        previous = family.named(self._own.old) or family.with_id(self._recorded)
        if serving is None:
            raise self._service.moved()
        kept = {serving.id, self._recorded, previous.id if previous else None}
        await self._service.drop([m for m in family.members if m.id not in kept and self._is_spent(family, m)])
        return SwappedContainer(
            summary=f"{self._engine.host} runs {self._order.image.tag}, {told_of(previous)} kept"[:149],
            evidence=[str(m) for m in (serving, previous) if m],
            host=self._order.host,
            container_id=serving.id,
            previous_id=previous.id if previous else None,
        )

    def _is_spent(self, family: Family, member: Member) -> bool:
        made_in_vain = family.is_mine(member) and member.part is Part.NEW
        earlier = member.part is Part.GONE or 0 < member.named_by < self._own.epoch
        return not member.alive and (made_in_vain or earlier) and family.is_ours(member, self._recorded)

    def _is_done(self, family: Family) -> bool:
        serving = family.serving
        return (
            serving is not None
            and family.is_mine(serving)
            and serving.digest == self._order.image.digest
            and serving.container.running
        )

    def _made(self, family: Family) -> Member | None:
        """The container of this run, whatever name it has got to."""
        mine = [family.named(self._own.new), family.serving]
        return next((member for member in mine if member and family.is_mine(member)), None)

    def _refuse_if_changed(self, family: Family) -> None:
        back, now = self._order.way_back, family.predecessor(self._recorded)
        if now and now.alive:
            self._refuse_other_strategy(now)
        if back is None or now is None or now.id == back.container_id:
            return
        if back.image_id is None or now.container.image_id != back.image_id:
            raise Refused(
                f"{self._engine.host} runs {now}, not {back.container_name or 'nothing'} ({back.version or 'no version'}) "
                "as recorded before the swap: somebody changed it meanwhile, put that back or abort"
            )

    def _refuse_other_strategy(self, now: Member) -> None:
        proxy = self._order.environment.proxy
        if proxy and not now.upstream:
            raise Refused(
                f"{self._engine.host}: {now} has no address in network {proxy.network}, so the proxy can't switch from it: "
                f"`docker rename {now.name} {now.name}-before`, release, then stop it (deploy/hosts.md, Blue and green)"
            )
        if now.upstream and not proxy:
            raise Refused(
                f"{self._engine.host}: {now} runs behind a proxy, which has the service's port: say strategy = "
                '"blue_green" again, or stop that container and the proxy first (deploy/hosts.md, Blue and green)'
            )


def told_of(old: Member | None) -> str:
    return old.told if old else "nothing"
