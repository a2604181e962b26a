"""Looks at what a host runs, asks the container for what it was made with, and compares that with the env file."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from activities.binding import performs
from activities.clients.engine_container import Container, ContainerDetails, LocalImage
from activities.env_file import parsed, variables
from activities.errors import Refused
from activities.family import LABEL_CONTAINER, Member, Names
from activities.way_back import known_digests, known_version
from runbook import names, steps
from runbook.host_state import EnvFile, HostState, HostToInspect, HostToRecord
from runbook.project import EnvironmentTable


class Inspected(Protocol):
    async def containers(self) -> list[Container]: ...
    async def inspect(self, container: str) -> ContainerDetails: ...
    async def image(self, reference: str) -> LocalImage | None: ...


class Hosts(Protocol):
    async def engine(self, environment: EnvironmentTable, host: str) -> Inspected: ...
    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes: ...


class InspectionActivities:
    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    @performs(steps.INSPECT_HOST)
    async def inspect(self, order: HostToInspect) -> HostState:
        return await self._state(order)

    @performs(steps.RECORD_HOST)
    async def record(self, order: HostToRecord) -> HostState:
        """The ledger's row of this step is the record.

        Raises:
            Refused: another image runs than the one that the host was given.
        """
        state = await self._state(order)
        if order.digest and order.digest not in state.digests:
            raise Refused(
                f"{order.host} runs {state.digest or 'nothing known'}, not {order.digest} as it was left: "
                "somebody changed it meanwhile, so this is no record of the release"
            )
        return state

    async def _state(self, order: HostToInspect) -> HostState:
        engine = await self._hosts.engine(order.environment, order.host)
        family = _family(await engine.containers(), order)
        name = order.environment.container
        others = [member.name for member in family if member.alive and member.name != name]
        serving = next((member for member in family if member.name == name), None)
        if serving is None:
            state = HostState(summary=f"{order.host} has no {name}", host=order.host, container=name, others=others)
        else:
            details, image = await asyncio.gather(engine.inspect(serving.id), engine.image(serving.container.image_id))
            state = _told(order, serving, details, image).model_copy(
                update={"others": others, **await self._environment(order, details, image)}
            )
        return state.model_copy(update={"evidence": [*state.lines, f"env file {state.env_file}"]})

    async def _environment(
        self, order: HostToInspect, details: ContainerDetails, image: LocalImage | None
    ) -> dict[str, object]:
        """Only how many variables differ: neither values nor names, which may be a misplaced secret, nor a hash of them."""
        environment, host = order.environment, order.host
        try:
            content = await self._hosts.read(environment, host, environment.env_file)
            lines = parsed(content, f"{host}:{environment.env_file}")
        except Refused as refused:
            return {"env_file": EnvFile.UNREADABLE, "env_trouble": str(refused)[:200]}
        if image is None:
            return {"env_file": EnvFile.UNKNOWN}
        wanted, made = variables([*image.environment, *lines]), variables(details.environment)
        differing = sum(wanted.get(key) != made.get(key) for key in {*wanted, *made})
        return {"env_file": EnvFile.DIFFERS if differing else EnvFile.SAME, "variables": differing}


def _family(containers: Sequence[Container], order: HostToInspect) -> list[Member]:
    """Whatever has one of the service's names, whoever made it, or its labels: another project's is a finding here."""
    own, whose = Names(order.environment.container, order.ref.epoch), (order.ref.project, order.environment.container)
    members = [Member(container, *(own.given(container) or (None, 0))) for container in containers]
    return [member for member in members if member.part or _owner(member.container) == whose]


def _owner(container: Container) -> tuple[str | None, str | None]:
    return container.labels.get(names.LABEL_PROJECT), container.labels.get(LABEL_CONTAINER)


def _told(order: HostToInspect, serving: Member, details: ContainerDetails, image: LocalImage | None) -> HostState:
    digests = known_digests(serving, image, f"{order.artifact.registry}/{order.artifact.image}")
    is_ours = serving.container.labels.get(names.LABEL_PROJECT) == order.ref.project
    return HostState(
        summary=f"{order.host} runs {serving.told}, {details.state}, restarts {details.restarts}"[:149],
        host=order.host,
        container=serving.name,
        container_id=serving.id,
        state=details.state,
        version=known_version(serving, image) or "",
        digest=digests[0] if digests else "",
        digests=digests,
        release=serving.release if is_ours else "",
        restarts=details.restarts,
        started_at=details.started_at,
    )
