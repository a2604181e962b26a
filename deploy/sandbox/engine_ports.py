"""A container's port bindings, made real on its host's address."""

from deploy.sandbox.containers import Container
from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.proxy import PublishedPort

# What a container may say to mean "this host": the sandbox gives each host one loopback address instead.
_ANYWHERE = {"", "0.0.0.0", "::", "127.0.0.1", "localhost"}  # noqa: S104  # compared with, never bound

Published = tuple[dict[str, list[dict[str, str]]], list[PublishedPort]]


async def publish(container: Container, address: str, inner: int) -> Published:
    """Docker's NetworkSettings.Ports and the open ports; EngineError 500 where one is taken."""
    shown: dict[str, list[dict[str, str]]] = {name: [] for name in container.config.get("ExposedPorts") or {}}
    opened = await _at_its_own_address(container, inner)
    for name, bindings in (container.host_config.get("PortBindings") or {}).items():
        shown[name] = []
        for binding in bindings or [{}]:
            asked, number = binding.get("HostIp") or "0.0.0.0", int(binding.get("HostPort") or 0)  # noqa: S104  # Docker's word for "any", shown, never bound
            where = address if asked in _ANYWHERE else asked
            try:
                port = await PublishedPort.open(where, number, inner)
            except OSError as error:
                await _close(opened)
                raise _cannot_listen(container, f"{asked}:{number}", error) from error
            opened.append(port)
            shown[name].append({"HostIp": asked, "HostPort": str(port.port)})
    return shown, opened


async def _at_its_own_address(container: Container, inner: int) -> list[PublishedPort]:
    opened: list[PublishedPort] = []
    for name in (container.config.get("ExposedPorts") or {}) if container.address else ():
        try:
            opened.append(await PublishedPort.open(container.address, int(name.partition("/")[0]), inner))
        except OSError as error:
            await _close(opened)
            raise EngineError(403, "Address already in use") from error
    return opened


async def _close(ports: list[PublishedPort]) -> None:
    for port in ports:
        await port.close()


def _cannot_listen(container: Container, where: str, error: OSError) -> EngineError:
    # asyncio words the error its own way; Docker hands on the system's.
    reason = "address already in use" if "in use" in str(error) else "cannot assign requested address"
    return EngineError(
        500,
        f"driver failed programming external connectivity on endpoint {container.name} ({container.id}): "
        f"Error starting userland proxy: listen tcp4 {where}: bind: {reason}",
    )
