"""Network namespaces joined by a bridge that has a namespace of its own, so that no firewall of the machine is between."""

import subprocess
from collections.abc import Sequence

from tests.hosts.claim import Claim

HUB = 2
_HARDWARE = "02:00:00:00:00:fe"


class Network:
    """The machine is at .1 of it, the hub at .2; hosts come after. Removed by `Claim.clean`."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.range = claim.address(0) + "/24"
        self._hub = claim.namespace("hub")

    @property
    def hub(self) -> str:
        """The address of what runs in the hub's namespace."""
        return self.claim.address(HUB)

    def up(self) -> None:
        ip("netns", "add", self._hub)
        self._in_hub("link", "set", "lo", "up")
        # Given, or a bridge takes the lowest of its ports': whoever still knew the one before a host came would be unheard.
        self._in_hub("link", "add", "bridge", "address", _HARDWARE, "type", "bridge")
        self._in_hub("address", "add", f"{self.hub}/24", "dev", "bridge")
        self._in_hub("link", "set", "bridge", "up")
        ip("link", "add", self.claim.name, "type", "veth", "peer", "name", "machine", "netns", self._hub)
        self._in_hub("link", "set", "machine", "master", "bridge", "up")
        ip("address", "add", f"{self.claim.address(1)}/24", "dev", self.claim.name)
        ip("link", "set", self.claim.name, "up")

    def join(self, what: str, number: int) -> None:
        """A namespace with an address of its own on the bridge."""
        namespace = self.claim.namespace(what)
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        self._in_hub("link", "add", what, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._in_hub("link", "set", what, "master", "bridge", "up")
        ip("-n", namespace, "address", "add", f"{self.claim.address(number)}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")

    def cut(self, what: str) -> None:
        """As a cable pulled out: connections on both sides hear nothing of it."""
        self._in_hub("link", "set", what, "down")

    def mend(self, what: str) -> None:
        self._in_hub("link", "set", what, "up")

    def slow(self, what: str, rate: str) -> None:
        """What goes to it passes at most at this rate, like `20mbit`."""
        words = ["qdisc", "replace", "dev", what, "root", "tbf", "rate", rate, "burst", "64k", "latency", "1s"]
        _run(["tc", "-n", self._hub, *words])

    def fast(self, what: str) -> None:
        _run(["tc", "-n", self._hub, "qdisc", "delete", "dev", what, "root"])

    def inside(self, what: str) -> list[str]:
        """The words that run a command in a namespace. Not `ip netns exec`, which mounts another /sys."""
        return ["nsenter", f"--net=/run/netns/{self.claim.namespace(what)}"]

    def _in_hub(self, *words: str) -> None:
        ip("-n", self._hub, *words)


def ip(*words: str) -> None:
    _run(["ip", *words])


def _run(words: Sequence[str]) -> None:
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"{' '.join(words)}: {told.stderr.strip()}"
