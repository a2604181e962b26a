"""The network of a fleet: what comes to it later, and leaves it, is noticed by nobody else."""

import json
import subprocess

import pytest

from tests.hosts.fleet import Fleet
from tests.hosts.network import ip

pytestmark = pytest.mark.hosts


def test_the_hub_is_reached_as_before_when_something_with_a_lower_hardware_address_joins(whole_fleet: Fleet) -> None:
    hub = whole_fleet.claim.namespace("hub")
    before = hardware_address(hub)
    ip("-n", hub, "link", "add", "late", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "end")
    try:
        ip("-n", hub, "link", "set", "late", "master", "bridge", "up")
        assert hardware_address(hub) == before
    finally:
        ip("-n", hub, "link", "delete", "late")


def hardware_address(hub: str) -> str:
    """Of the bridge, as its neighbours know it."""
    told = subprocess.run(["ip", "-n", hub, "-json", "link", "show", "bridge"], capture_output=True, check=True)
    address: str = json.loads(told.stdout)[0]["address"]
    return address
