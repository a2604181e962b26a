"""One host's Docker engine, spoken to with the SDK in threads: everything by container id or by a name nobody else uses."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import docker.errors

from activities.clients.engine_container import (
    Container,
    ContainerDetails,
    ContainerToCreate,
    ListedImage,
    LocalImage,
)
from activities.clients.engine_errors import SPEAKING, Moved, NotStarted, explained, not_started, step_error
from activities.clients.engine_pull import pull, registry_login
from activities.clients.engine_socket import SILENCE, Line
from activities.errors import Unreachable
from activities.heartbeat import ended, in_thread
from runbook.artifact_table import CredentialsTable

T = TypeVar("T")


class Engine:
    """`api` is the SDK's APIClient as `dial` gives it, `is_lost` whether the way to the engine is gone, `silence` a pull's longest.

    Every method raises Unreachable when the engine does not answer, and Moved when a container is not what the
    caller took it for.
    """

    def __init__(
        self, api: Any, host: str, is_lost: Callable[[], bool] = lambda: False, silence: timedelta = SILENCE
    ) -> None:
        self._api = api
        self._is_lost = is_lost
        self._silence = silence
        self.host = host

    async def containers(self) -> list[Container]:
        """All of them, running or not."""
        rows = await self._call("docker ps --all", lambda: self._api.containers(all=True))
        return [Container.model_validate(row) for row in rows]

    async def inspect(self, container: str) -> ContainerDetails:
        said = await self._call(f"docker inspect {container}", lambda: self._api.inspect_container(container))
        return ContainerDetails.model_validate(said)

    async def image(self, reference: str) -> LocalImage | None:
        """The image as the host has it now, or None; asks no registry."""
        try:
            said = await self._call(f"docker image inspect {reference}", lambda: self._api.inspect_image(reference))
        except Moved:
            return None
        return LocalImage.model_validate(said)

    async def images(self) -> list[ListedImage]:
        rows = await self._call("docker images", self._api.images)
        return [ListedImage.model_validate(row) for row in rows]

    async def pull(self, repository: str, wanted: str, credentials: CredentialsTable | None) -> None:
        """Pull a tag or a digest; a cancelled pull ends at once, whatever the engine is doing.

        Raises:
            Refused: the registry takes the credentials not (cause CREDENTIALS).
            Unreachable: it broke off or stopped half-way, or there is no such image (cause DIGEST_UNKNOWN).
        """
        login, line = registry_login(credentials), Line(self._silence)
        doing = f"docker pull {repository} {wanted}"
        pulling = asyncio.ensure_future(
            self._call(doing, lambda: pull(self._api, line, self.host, repository, wanted, login))
        )
        try:
            await asyncio.shield(pulling)
        except asyncio.CancelledError:
            # A thread can't be stopped, but what it waits for can end.
            line.cut()
            with contextlib.suppress(Exception):
                await ended(pulling)
            raise

    async def create(self, wanted: ContainerToCreate) -> str:
        """The new container's id; it is not started. Moved when the name is taken or the image not there."""
        said = await self._call(f"docker create --name {wanted.name} {wanted.image}", lambda: self._create(wanted))
        return str(said["Id"])

    async def rename(self, container: str, name: str) -> None:
        """Moved when the name is taken; nothing happens to one that has the name already."""
        await self._call(f"docker rename {container} {name}", lambda: self._rename(container, name))

    async def set_restart(self, container: str, policy: str) -> None:
        wanted = {"Name": policy, "MaximumRetryCount": 0}
        await self._call(
            f"docker update --restart {policy} {container}",
            lambda: self._api.update_container(container, restart_policy=wanted),
        )

    async def start(self, container: str) -> None:
        """Nothing happens to one that runs.

        Raises:
            NotStarted: the engine could not start it: its port is taken, or its command can't be run.
        """
        self._refuse_if_lost()
        try:
            await in_thread(self._api.start, container)
        except docker.errors.NotFound as error:
            if "No such container" in str(error.explanation):
                raise step_error(self.host, f"docker start {container}", error) from None
            raise not_started(self.host, container, error) from None
        except docker.errors.APIError as error:
            raise not_started(self.host, container, error) from None
        except SPEAKING as error:
            raise step_error(self.host, f"docker start {container}", error) from None

    async def stop(self, container: str, within: timedelta) -> None:
        """Ask it to end, insist after `within`; nothing happens to one that does not run."""
        seconds = math.ceil(within.total_seconds())
        await self._call(f"docker stop {container}", lambda: self._api.stop(container, timeout=seconds))

    async def remove(self, container: str) -> None:
        """Moved when it runs or is gone: nothing that runs is ever removed."""
        await self._call(f"docker rm {container}", lambda: self._api.remove_container(container))

    async def logs(self, container: str, lines: int, masked: Callable[[str], str]) -> list[str]:
        """The last lines of both streams, each `masked` whole before it is cut to 300 printable characters."""

        def tail() -> list[str]:
            said = self._api.logs(container, tail=lines).decode(errors="replace")
            shown = [masked(line) for line in said.splitlines()[-lines:]]
            return ["".join(c if c.isprintable() else " " for c in line)[:300] for line in shown]

        return await self._call(f"docker logs {container}", tail)

    def _rename(self, container: str, name: str) -> None:
        try:
            self._api.rename(container, name)
        except docker.errors.APIError as error:
            if "same name as its current name" not in explained(error):
                raise

    def _create(self, wanted: ContainerToCreate) -> Any:
        host = self._api.create_host_config(restart_policy={"Name": wanted.restart, "MaximumRetryCount": 0})
        host["PortBindings"] = wanted.port_bindings
        if wanted.network:
            host["NetworkMode"] = wanted.network
        return self._api.create_container(
            wanted.image,
            name=wanted.name,
            command=list(wanted.command) if wanted.command else None,
            environment=list(wanted.environment),
            labels=dict(wanted.labels),
            ports=[(wanted.container_port, "tcp")] if wanted.port or wanted.network else [],
            host_config=host,
            networking_config=self._networking(wanted),
            stop_timeout=wanted.stop_timeout,
            # The proxy settings of the worker's own Docker client are none of the service's business.
            use_config_proxy=False,
        )

    def _networking(self, wanted: ContainerToCreate) -> Any:
        if not wanted.network:
            return None
        endpoint = self._api.create_endpoint_config(ipv4_address=wanted.address)
        return self._api.create_networking_config({wanted.network: endpoint})

    async def _call(self, doing: str, call: Callable[[], T]) -> T:
        self._refuse_if_lost()
        try:
            return await in_thread(call)
        except SPEAKING as error:
            raise step_error(self.host, doing, error) from None

    def _refuse_if_lost(self) -> None:
        """The SDK would leave a socket behind for each try to connect."""
        if self._is_lost():
            raise Unreachable(f"the connection to {self.host} was lost; tried again")


__all__ = ["Container", "ContainerDetails", "ContainerToCreate", "Engine", "LocalImage", "Moved", "NotStarted"]
