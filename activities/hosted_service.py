"""One service on one host as one run may change it: look, take under a name of one's own, look again, then act."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Protocol

from activities.clients.engine_container import (
    Container,
    ContainerDetails,
    ContainerToCreate,
    ListedImage,
    LocalImage,
)
from activities.clients.engine_errors import Moved
from activities.errors import Unreachable
from activities.family import Family, Member, Names, Part, labels
from activities.masking import mask_of
from runbook.artifact_table import CredentialsTable
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable

# Looks at a container just started, as parts of the time it is given to fail.
_LOOKS = (0.2, 0.3, 0.5)
LOG_LINES = 15

# Whether the service itself answers well within so many seconds from now.
Answers = Callable[[float], Awaitable[bool]]


class HostEngine(Protocol):
    """A host's engine; `activities.clients.engine.Engine` says what each raises."""

    host: str

    async def containers(self) -> list[Container]: ...
    async def inspect(self, container: str) -> ContainerDetails: ...
    async def image(self, reference: str) -> LocalImage | None: ...
    async def images(self) -> list[ListedImage]: ...
    async def pull(self, repository: str, wanted: str, credentials: CredentialsTable | None) -> None: ...
    async def create(self, wanted: ContainerToCreate) -> str: ...
    async def rename(self, container: str, name: str) -> None: ...
    async def set_restart(self, container: str, policy: str) -> None: ...
    async def start(self, container: str) -> None: ...
    async def stop(self, container: str, within: timedelta) -> None: ...
    async def remove(self, container: str) -> None: ...
    async def logs(self, container: str, lines: int, masked: Callable[[str], str]) -> list[str]: ...


class HostedService:
    """`settle` is how long a container just started is watched for ending at once, unless `answers` says it serves."""

    def __init__(
        self,
        engine: HostEngine,
        environment: EnvironmentTable,
        ref: ReleaseRef,
        settle: timedelta,
        answers: Answers | None = None,
    ) -> None:
        self.engine = engine
        self.environment = environment
        self.ref = ref
        self.own = Names(environment.container, ref.epoch)
        self.answered = False
        self._settle = settle.total_seconds()
        # An address that is not the host's own is answered by other hosts too.
        self._answers = answers if answers and "{host}" in environment.health else _silent

    async def look(self) -> Family:
        """The family as it is now.

        Raises:
            Refused: a later run has been here (cause FENCED), or another project has the name.
        """
        family = await self.see()
        if family.latest > self.ref.epoch:
            await self.withdraw(family)
        family.refuse_if_fenced(self.engine.host)
        return family

    async def see(self) -> Family:
        """The same, even when a later run has been here."""
        return Family.among(await self.engine.containers(), self.own, self.ref.project)

    async def take(self, members: Iterable[tuple[Member, str]]) -> Family:
        """Give each a name that only this run uses, and look again; all names are as before when a later run shows.

        From here on the caller acts by those names: a run that lost them finds nobody there.
        """
        taken = [(member, name) for member, name in members if member.name != name]
        for member, name in taken:
            # The serving name may be another's by now; any other name is this container's, or nobody's.
            await self.engine.rename(member.id if member.part is Part.SERVING else member.name, name)
        family = await self.see()
        if family.latest > self.ref.epoch:
            for member, name in reversed(taken):
                await self._give_name_back(member, name, family)
            await self.withdraw(family)
        family.refuse_if_fenced(self.engine.host)
        return family

    async def end(self, name: str) -> None:
        """Stop the container that was taken under this name, for good."""
        try:
            await self.engine.set_restart(name, "no")
        except Moved:
            raise
        except Unreachable:
            # An engine can't update a container whose process is just ending, as in a crash loop: stopped, it can.
            await self.engine.stop(name, self.environment.stop_timeout)
            await self.engine.set_restart(name, "no")
        else:
            await self.engine.stop(name, self.environment.stop_timeout)

    async def failure_of(self, name: str) -> ContainerDetails | None:
        """The container's state when it ended or was restarted just after its start; None when it stays up.

        A good answer of the service says as much, and asks nothing of the engine: `answered` is true then.
        """
        self.answered = False
        for part in _LOOKS:
            if await self._answers(self._settle * part):
                self.answered = True
                return None
            details = await self.engine.inspect(name)
            if not details.steady:
                return details
        return None

    async def last_words(self, container: str) -> list[str]:
        """How it ended and the tail of its log, as evidence; nothing of one that is gone."""
        with contextlib.suppress(Moved):
            details = await self.engine.inspect(container)
            masked = await mask_of(details, self.engine)
            error = [masked(details.error)[:300]] if details.error else []
            return [details.told, *error, *await self.engine.logs(details.id, LOG_LINES, masked)]
        return []

    async def drop(self, members: Sequence[Member]) -> None:
        """Remove those that are of no use any more, by id; one that runs meanwhile stays."""
        for member in members:
            with contextlib.suppress(Moved):
                await self.engine.remove(member.id)

    def container(
        self, image: str, version: str, digest: str, lines: Sequence[str], upstream: str = ""
    ) -> ContainerToCreate:
        """A container that would serve, under the name of a new one. `lines` are the env file's.

        With an `upstream`, `address:port`, it has that address and publishes nothing.
        """
        environment = self.environment
        proxy = environment.proxy if upstream else None
        return ContainerToCreate(
            name=self.own.new,
            image=image,
            labels=labels(self.ref, self.own.serving, version, digest, upstream),
            environment=lines,
            port=None if upstream else environment.port,
            network=proxy.network if proxy else None,
            address=upstream.rpartition(":")[0] or None,
            container_port=environment.container_port,
            publish_on=environment.publish_on,
            restart=environment.restart,
            stop_timeout=math.ceil(environment.stop_timeout.total_seconds()),
        )

    async def withdraw(self, family: Family) -> None:
        """What this run created too late was never started."""
        await self.drop([m for m in family.members if family.is_mine(m) and m.container.state == "created"])

    def moved(self) -> Moved:
        return Moved(f"{self.engine.host}: {self.own.serving} was changed by somebody else meanwhile; looked at again")

    async def _give_name_back(self, member: Member, name: str, family: Family) -> None:
        """By our own name, so that nothing happens once a later run took it.

        Where that run has given the serving name to another container, ours was the one it kept.
        """
        with contextlib.suppress(Moved):
            try:
                await self.engine.rename(name, member.name)
            except Moved:
                await self.engine.rename(name, Names(self.own.serving, family.latest).old)


async def _silent(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return False
