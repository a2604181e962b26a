"""Ports that something is going to listen on, a moment later."""

import random
import socket
from pathlib import Path

from deploy.ports import free_port


def test_no_connection_that_goes_out_gets_a_port_like_it() -> None:
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 32_768
    found = {free_port() for _ in range(20)}
    assert len(found) > 10
    assert max(found) < lowest


def test_the_preferred_one_is_taken_where_it_is_free_at_every_address() -> None:
    preferred = free_port("127.0.0.2", "127.0.0.3")
    assert free_port("127.0.0.2", "127.0.0.3", preferred=preferred) == preferred
    with socket.create_server(("127.0.0.3", preferred)):
        assert free_port("127.0.0.2", preferred=preferred) == preferred
        assert free_port("127.0.0.2", "127.0.0.3", preferred=preferred) != preferred


def test_one_that_was_given_lately_is_not_given_to_somebody_else() -> None:
    here = random.getstate()
    first = free_port()
    random.setstate(here)
    assert free_port() != first
