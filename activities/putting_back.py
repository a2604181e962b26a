"""Returns a host to what it ran before a release, whatever state the release left it in."""

from collections.abc import Sequence
from datetime import timedelta

from activities.clients.engine_container import ContainerToCreate
from activities.clients.engine_errors import Moved, NotStarted
from activities.errors import Refused, Unreachable
from activities.family import Family, Member, Part, labels
from activities.heartbeat import ended, tell
from activities.hosted_service import HostedService, HostEngine
from activities.local_image import held
from activities.rounds import rounds
from activities.swap import Lines
from runbook.identifier import Digest
from runbook.image import Image
from runbook.service import HostToPutBack, RestoredHost
from runbook.trouble import Cause

_WORDS_KEPT = 12


class PuttingBack:
    """One attempt. It may be killed between any two calls, and may go on after others took its place."""

    def __init__(self, engine: HostEngine, order: HostToPutBack, lines: Lines, settle: timedelta) -> None:
        """`lines` reads the env file, where a container has to be created anew; `settle`: see HostedService."""
        self._engine = engine
        self._order = order
        self._back = order.way_back
        self._lines = lines
        self._service = HostedService(engine, order.environment, order.ref, settle)
        self._own = self._service.own

    async def make(self) -> RestoredHost:
        """Make it, or find it made.

        Raises:
            Refused: a later run was here (cause FENCED), or what was recorded has no digest to make it from.
            Unreachable: the engine did not answer, what ran before does not start, its image is not to be had.
        """
        return await rounds(self._attempt, self._tidied)

    async def _tidied(self) -> None:
        """Where it is made already, by whichever attempt: without what was created in vain."""
        family = await self._service.look()
        if self._is_done(family):
            await self._finished(family, self._target(family))

    async def _attempt(self) -> RestoredHost:
        family = await self._fenced()
        if not self._is_done(family):
            if self._target(family) is None and self._is_recorded:
                await self._create_anew()
                family = await self._service.look()
            await self._restore(family, self._to_run(family))
            family = await self._service.look()
            if not self._is_done(family):
                raise self._service.moved()
        return await self._finished(family, self._target(family))

    async def _fenced(self) -> Family:
        """The family with a fence of this run in it."""
        family = await self._service.look()
        if family.named(self._own.fence):
            return family
        await self._leave_fence(family)
        return await self._service.look()

    @property
    def _is_recorded(self) -> bool:
        return bool(self._back.container_id or self._back.digest or self._back.image_id)

    def _target(self, family: Family) -> Member | None:
        """Of those that are what was recorded the one that serves already, the very container, or what this run made."""
        same = [member for member in family.members if self._is_same(family, member) and not self._is_failed(member)]
        return max(same, key=lambda member: self._preference(family, member), default=None)

    def _is_same(self, family: Family, member: Member) -> bool:
        back, has_image = self._back, self._back.image_id in {member.container.image_id, member.container.image}
        if member.id == back.container_id:
            return has_image or back.image_id is None
        if back.digest and member.digest == back.digest:
            return True
        # Somebody may have put the host right by hand, without our labels.
        by_hand = has_image and member.part is Part.SERVING
        # From an image without a digest this run makes a container like this one; its fence may be of any image.
        made = family.is_mine(member) and member.part is not Part.FENCE and not member.digest
        return by_hand or (made and back.image_id is not None and not back.digest)

    def _preference(self, family: Family, member: Member) -> tuple[bool | int, ...]:
        serves = member is family.serving and member.container.running
        is_recorded = member.id == self._back.container_id
        return serves, is_recorded, family.is_mine(member), member.alive, member.epoch

    def _to_run(self, family: Family) -> Member | None:
        """The target; None only where nothing ran before: what runs is stopped for what can be started, or stays."""
        target = self._target(family)
        if target is None and self._is_recorded:
            raise self._service.moved()
        return target

    def _is_failed(self, member: Member) -> bool:
        failed = self._order.failed_release
        return bool(failed) and member.release == failed and member.id != self._back.container_id

    def _in_the_way(self, family: Family, target: Member | None) -> list[Member]:
        """What holds the name or the port. Where nothing ran before, only what the failed release left."""
        holding = [m for m in family.members if m is not target and (m.alive or m.part is Part.SERVING)]
        ours = [m for m in holding if family.is_ours(m, self._back.container_id)]
        return [m for m in ours if self._is_recorded or self._is_failed(m)]

    def _is_done(self, family: Family) -> bool:
        target = self._target(family)
        if self._in_the_way(family, target):
            return False
        return not self._is_recorded if target is None else target is family.serving and target.alive

    async def _leave_fence(self, family: Family) -> None:
        """A container that never runs and says by its label that this run has been here."""
        known = [self._back.image_id, *(member.container.image_id for member in family.members)]
        listed = [] if any(known) else [image.id for image in await self._engine.images()]
        fence = labels(self._order.ref, self._own.serving, self._order.ref.version, "")
        # Any image will do: it is never started.
        for image in dict.fromkeys(image for image in [*known, *listed] if image):
            try:
                await self._engine.create(
                    ContainerToCreate(name=self._own.fence, image=image, labels=fence, command=["fence"])
                )
            except Moved:
                if (await self._service.look()).named(self._own.fence):
                    return
            else:
                return

    async def _create_anew(self, upstream: str = "") -> None:
        """What was recorded is gone: the same image in a new container, ready before anything is stopped."""
        back, artifact = self._back, self._order.artifact
        tell("creating what ran before anew")
        if back.digest:
            repository = f"{artifact.registry}/{artifact.image}"
            await held(self._engine, repository, back.digest, artifact.credentials)
            image = _reference(artifact.registry, artifact.image, back.version, back.digest)
        elif back.image_id and await self._engine.image(back.image_id):
            image = back.image_id
        else:
            raise Refused(
                f"{self._engine.host} has lost {back.container_name or 'what ran before'} and its image, and no digest of it "
                "was recorded: start by hand what should run there"
            )
        made = (image, back.version or "", back.digest or "", await self._lines(), upstream)
        await self._engine.create(self._service.container(*made))

    async def _restore(self, family: Family, target: Member | None) -> None:
        gone = self._gone(family, target)
        if target is None or (target is family.serving and target.alive):
            await self._service.take(gone)
            await ended(self._change_over([name for _, name in gone], None))
            return
        # One that runs without the name may be about to end: the failed release's stop may be under way.
        is_stopped_first = target.alive
        name = target.name if target.name == self._own.new else self._own.back
        await self._service.take([(target, name), *gone])
        await ended(self._change_over([name for _, name in gone], name, is_stopped_first=is_stopped_first))

    def _gone(self, family: Family, target: Member | None) -> list[tuple[Member, str]]:
        """What is in the way, each with a name: what serves and is not of the failed release is kept as the old one."""
        members = self._in_the_way(family, target)
        serving = [member for member in members if member.part is Part.SERVING and not self._is_failed(member)]
        # An attempt before this one may have kept one already.
        kept = next((member for member in [family.named(self._own.old), *serving] if member), None)
        return [(member, self._own.old if member is kept else self._own.gone(member.container)) for member in members]

    async def _change_over(self, gone: Sequence[str], name: str | None, *, is_stopped_first: bool = False) -> None:
        """From the stop to the name: brief, and ended even when cancelled meanwhile."""
        if name:
            await self._engine.set_restart(name, self._order.environment.restart)
        tell("stopping the failed one")
        for each in gone:
            await self._service.end(each)
        if name is None:
            return
        if is_stopped_first:
            await self._engine.stop(name, self._order.environment.stop_timeout)
        tell("starting what ran before")
        try:
            await self._engine.start(name)
        except NotStarted as error:
            raise self._not_up(str(error), []) from None
        if failure := await self._service.failure_of(name):
            words = await self._service.last_words(name)
            raise self._not_up(f"{failure.state}, exit code {failure.exit_code}", words)
        await self._engine.rename(name, self._own.serving)

    def _not_up(self, why: str, evidence: list[str]) -> Unreachable:
        return Unreachable(
            f"{self._engine.host}: {self._back.version or self._back.container_name} ran before and does not stay up now "
            f"({why}); tried again, look at the host",
            cause=Cause.CONTAINER_EXITED,
            evidence=evidence,
        )

    async def _finished(self, family: Family, target: Member | None) -> RestoredHost:
        """Only now what failed is removed, its last words kept; fences of earlier runs have served their time."""
        host, evidence = self._engine.host, list[str]()
        spent = [member for member in family.members if member is not target and self._is_spent(family, member)]
        for member in spent:
            if self._is_failed(member) and member.ended:
                evidence += [f"removed {member}", *(await self._service.last_words(member.id))[-_WORDS_KEPT:]]
        await self._service.drop(spent)
        what = target.told if target else "nothing, as before the release"
        return RestoredHost(
            summary=f"{host} runs {what} again"[:149] if target else f"{host} runs {what}",
            evidence=[*([f"{target} up"] if target else []), *evidence],
            host=self._order.host,
            container_id=target.id if target else None,
            digest=self._back.digest,
            version=self._back.version,
            kept=target is not None and not family.is_mine(target),
        )

    def _is_spent(self, family: Family, member: Member) -> bool:
        if member.alive or not family.is_ours(member, self._back.container_id):
            return False
        mine = family.is_mine(member) and member.part is not Part.FENCE
        # What this run sets aside and is not of the failed release is there until the next one, as the old one is.
        of_earlier = member.part in {Part.FENCE, Part.GONE} and member.named_by < self._own.epoch
        return self._is_failed(member) or mine or of_earlier


def _reference(registry: str, name: str, version: str | None, digest: Digest) -> str:
    if version:
        return Image(registry=registry, name=name, version=version, digest=digest).reference
    return f"{registry}/{name}@{digest}"
