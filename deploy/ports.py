"""Ports of this machine that something is going to listen on."""

import random
import socket
from collections import deque
from pathlib import Path

_LOWEST = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL = 32_768
# Each is listened on only after a while: the same one must not be given to somebody else meanwhile.
_lately: deque[int] = deque(maxlen=1_000)


def free_port(*addresses: str, preferred: int = 0) -> int:
    """One that is free at all these addresses (127.0.0.1 when none is given): the preferred one, or any not given lately.

    It is below those that the system gives to connections going out: of these, any client could take it before it is listened
    on, or while its server is restarted.
    """
    port = preferred or _any_port()
    while not all(_is_free(address, port) for address in addresses or ("127.0.0.1",)):
        port = _any_port()
    _lately.append(port)
    return port


def _any_port() -> int:
    ephemeral = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _USUAL_EPHEMERAL
    while (port := random.randrange(_LOWEST, max(ephemeral, _LOWEST + 2_000))) in _lately:
        pass
    return port


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection of before that is not forgotten yet is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
