"""Runs one host's containers as processes: start, stop, restart policies, published ports."""

import asyncio
import contextlib
import signal
from collections import defaultdict

from deploy.ports import free_port
from deploy.sandbox.containers import Container, Containers
from deploy.sandbox.engine_command import CannotExecute, command_line, environment, working_directory
from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.engine_images import Images
from deploy.sandbox.engine_layers import copy_whole
from deploy.sandbox.engine_life import Backoff, Life
from deploy.sandbox.engine_logs import ContainerLog
from deploy.sandbox.engine_ports import publish
from deploy.sandbox.engine_store import now, seconds_since
from deploy.sandbox.processes import Process, end_leftover, signal_number

SHUTDOWN_SECONDS = 2


class Runner:
    """`address` is the host's own; ports are published there whatever address a container asks for."""

    def __init__(self, containers: Containers, images: Images, address: str) -> None:
        self._containers = containers
        self._images = images
        self._address = address
        self._lives: dict[str, Life] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[str, list[asyncio.Future[int]]] = defaultdict(list)
        self._closing = False
        self._reachable = True

    def log(self, container: Container) -> ContainerLog:
        return ContainerLog(self._containers.folder(container) / "log.jsonl")

    async def resume(self) -> None:
        """What a daemon does when it starts: ends leftovers, then brings back what its policy keeps up."""
        for container in self._containers.all():
            if container.running:
                end_leftover(container.pid, container.id)
                self._ended(container, container.exit_code or 128 + signal.SIGKILL)
            if _comes_back(container):
                with contextlib.suppress(EngineError):
                    await self.start(container)

    async def close(self) -> None:
        """Ends every process; policies bring theirs back at the next start."""
        self._closing = True
        lives = list(self._lives.values())
        await asyncio.gather(*(life.end(SHUTDOWN_SECONDS) for life in lives))

    async def start(self, container: Container) -> None:
        """EngineError 304 when it runs already; what fails is also noted in the container's state."""
        async with self._locks[container.id]:
            await self._start(container)

    async def stop(self, container: Container, seconds: float | None) -> None:
        """EngineError 304 when it is down already."""
        async with self._locks[container.id]:
            if not container.running:
                raise EngineError(304, "")
            await self._stop(container, seconds)

    async def restart(self, container: Container, seconds: float | None) -> None:
        async with self._locks[container.id]:
            if container.running:
                await self._stop(container, seconds)
            await self._start(container)

    def kill(self, container: Container, name: str | None) -> None:
        life = self._lives.get(container.id)
        if not container.running or life is None:
            raise EngineError(
                409,
                f"Cannot kill container: {container.name}: Container {container.id} is not running",
            )
        try:
            number = signal_number(name, signal.SIGKILL)
        except ValueError as error:
            raise EngineError(400, str(error)) from error
        if number in {signal.SIGKILL, signal.SIGTERM}:
            container.stopped_by_hand = True
            self._containers.save(container)
            life.give_up()
        life.signal(number)

    async def remove(self, container: Container, *, force: bool) -> None:
        async with self._locks[container.id]:
            if container.running and not force:
                raise EngineError(
                    409,
                    f"You cannot remove a running container {container.id}. Stop the container before "
                    "attempting removal or force remove",
                )
            if container.running:
                await self._stop(container, 0)
            self._containers.remove(container)

    async def wait(self, container: Container, *, next_exit: bool = False) -> int:
        """The exit code: the last one at once, or the next one when it runs (or when `next_exit`)."""
        if not container.running and not next_exit:
            return container.exit_code
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[container.id].append(ended)
        return await ended

    def set_reachable(self, *, reachable: bool) -> None:
        """Whether published ports answer; a host that is cut off keeps its containers running."""
        self._reachable = reachable
        for life in self._lives.values():
            life.set_reachable(reachable=reachable)

    async def _start(self, container: Container) -> None:
        if container.running:
            raise EngineError(304, "")
        life = Life()
        await self._launch(container, life)
        container.stopped_by_hand, container.restarts = False, 0
        self._containers.save(container)
        self._lives[container.id] = life
        life.task = asyncio.create_task(self._watch(container, life))

    async def _stop(self, container: Container, seconds: float | None) -> None:
        container.stopped_by_hand = True
        self._containers.save(container)
        if seconds is None:
            seconds = container.config.get("StopTimeout") or 10
        stop_signal = signal_number(container.config.get("StopSignal"))
        if life := self._lives.get(container.id):
            await life.end(seconds, stop_signal)

    async def _launch(self, container: Container, life: Life) -> None:
        try:
            await self._run(container, life)
        except (EngineError, OSError) as error:
            await life.close_ports()
            code = error.exit_code if isinstance(error, CannotExecute) else 128
            container.exit_code, container.error = code, str(error)
            self._containers.save(container)
            if isinstance(error, EngineError):
                raise
            raise EngineError(500, str(error)) from error
        container.status, container.error, container.exit_code = "running", "", 0
        container.started, container.pid = now(), life.pid
        self._containers.save(container)

    async def _run(self, container: Container, life: Life) -> None:
        rootfs = self._containers.folder(container) / "rootfs"
        if not rootfs.exists():
            image = self._images.find(container.image)
            await asyncio.to_thread(copy_whole, self._images.rootfs(image), rootfs)
        argv = command_line(rootfs, container.config)
        inner = free_port()
        container.ports, life.ports = await publish(container, self._address, inner)
        env = environment(container.config, container.id[:12], inner, container.id)
        where = working_directory(rootfs, container.config)
        life.set_reachable(reachable=self._reachable)
        life.process = await Process.spawn(argv, where, env, self.log(container))

    async def _watch(self, container: Container, life: Life) -> None:
        backoff = Backoff()
        while life.process:
            code = await life.process.wait()
            await life.close_ports()
            self._tell_waiting(container, code)
            if self._is_over(container, code):
                break
            container.restarts += 1
            container.status, container.pid, container.ports = "restarting", 0, {}
            container.exit_code, container.finished = code, now()
            self._containers.save(container)
            if await life.is_ended_within(backoff.next(seconds_since(container.started))):
                break
            try:
                await self._launch(container, life)
            except EngineError:
                code = container.exit_code
                break
            if life.ending:
                life.signal(signal.SIGTERM)
        self._ended(container, code)
        self._lives.pop(container.id, None)

    def _is_over(self, container: Container, code: int) -> bool:
        by_us = container.stopped_by_hand or self._closing
        return by_us or not container.policy.wants(code, container.restarts)

    def _ended(self, container: Container, code: int) -> None:
        container.status, container.pid, container.ports = "exited", 0, {}
        container.exit_code, container.finished = code, now()
        self._containers.save(container)

    def _tell_waiting(self, container: Container, code: int) -> None:
        for ended in self._waiting.pop(container.id, []):
            if not ended.done():
                ended.set_result(code)


def _comes_back(container: Container) -> bool:
    """After the daemon restarts: `always` even when stopped by hand, the others only when they were not."""
    if container.status == "created" or container.policy.name == "no":
        return False
    if container.policy.name == "always":
        return True
    by_itself = not container.stopped_by_hand
    return by_itself and container.policy.wants(container.exit_code, 0)
