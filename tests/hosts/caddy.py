"""Caddy on a host of the fleet, front and switch from deploy/caddy's own files, and services behind it."""

import contextlib
import itertools
import shutil
import signal
import socket
import sysconfig
from pathlib import Path
from typing import Any

from activities.hosts import HostActivities
from tests.hosts.host import Host
from tests.hosts.processes import until
from tests.hosts.shop import SETTLE, Content, Service, Shop

FILES = Path(__file__).resolve().parents[2] / "deploy/caddy"
NETWORK, SUBNET, DYNAMIC = "shop", "172.30.0.0/24", "172.30.0.128/25"
ADMIN = "/run/caddy-switch/admin.sock"
# By these the host's two processes are told apart.
FRONT, SWITCH = "caddy-front", "caddy-switch"
_pairs = itertools.count(1)


class Caddy:
    """`admin` is where the switch listens for what a release asks of it."""

    def __init__(self, host: Host, admin: str = ADMIN) -> None:
        self.host = host
        self.admin = admin
        self._folder = host.path("/run/caddy-switch")
        self._folder.mkdir(exist_ok=True)
        host.path("/run/caddy").mkdir(exist_ok=True)
        for name in (FRONT, SWITCH):
            # A checkout may be where a host has a folder of its own.
            if not host.path(f"/run/caddy/{name}").exists():
                shutil.copy(Path(sysconfig.get_path("scripts")) / "caddy", host.path(f"/run/caddy/{name}"))
        if NETWORK not in host.run("docker", "network", "ls", "--format", "{{.Name}}").split():
            host.run("docker", "network", "create", "--subnet", SUBNET, "--ip-range", DYNAMIC, NETWORK)

    def begin(self, port: int, *, tls: bool = False) -> None:
        """Both, with the site at this port; ready when this returns."""
        site = f"https://{self.host.address}:{port} {{\n\ttls internal" if tls else f"http://:{port} {{"
        options = f"{{\n\tadmin off\n\tskip_install_trust\n\tdefault_sni {self.host.address}\n}}\n"
        front = (FILES / "Caddyfile").read_text().replace("shop-1.example.net {", site)
        # The worker's user on a host of the fleet is in no group of Caddy's.
        listen = f"unix/{self.admin}|0222" if self.admin.startswith("/") else self.admin
        switch = (FILES / "switch.json").read_text().replace(f"unix/{ADMIN}|0220", listen)
        assert (site in front, listen in switch) == (True, True)
        self.host.write("/run/front.caddyfile", options + front)
        self.host.write("/run/switch.json", switch)
        self.start_switch()
        self._start(FRONT, "--config", "/run/front.caddyfile", "--adapter", "caddyfile")
        until(lambda: self._listens(port), f"Caddy of {self.host.name} listens at {port}")

    def start_switch(self) -> None:
        self._start(SWITCH, "--resume", "--config", "/run/switch.json")
        until(self.host.path("/run/caddy-switch/shop.sock").exists, f"the switch of {self.host.name} listens")

    def end_switch(self) -> None:
        self._end(SWITCH)
        for left in self._folder.glob("*.sock"):
            left.unlink()

    def close(self) -> None:
        """The next one begins anew, with nothing to resume."""
        for name in (FRONT, SWITCH):
            self._end(name)
            shutil.rmtree(self.host.path(f"/run/caddy/{name}-state"), ignore_errors=True)
        shutil.rmtree(self._folder)

    def authority(self) -> str:
        """The certificate of Caddy's own authority, as PEM."""
        path = self.host.path(f"/run/caddy/{FRONT}-state/caddy/pki/authorities/local/root.crt")
        until(path.exists, "Caddy has an authority of its own")
        return path.read_text()

    def _start(self, name: str, *words: str) -> None:
        places = [f"XDG_CONFIG_HOME=/run/caddy/{name}-state", f"XDG_DATA_HOME=/run/caddy/{name}-state"]
        self.host._start(name, "env", *places, f"/run/caddy/{name}", "run", *words)

    def _end(self, name: str) -> None:
        self.host.hit(name, signal.SIGKILL)
        until(lambda: not self.host.pids(name), f"{name} of {self.host.name} ends")

    def _listens(self, port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host.address, port), 1):
            return True
        return False


def behind(shop: Shop, host: Host, caddy: Caddy, **changes: Any) -> Service:
    """A service on the port that Caddy has, with two addresses of its own."""
    first = next(_pairs) * 2
    proxy = {
        "admin": caddy.admin,
        "handler": "shop",
        "network": NETWORK,
        "addresses": [f"172.30.0.{first}", f"172.30.0.{first + 1}"],
        "drain": "10s",
    }
    return shop.service(host, **{"strategy": "blue_green", "proxy": proxy, "good_answers": 2, **changes})


def unwatched(service: Service) -> Service:
    """Its swaps do not measure how long it is away."""
    service.activities = HostActivities(service.shop.hosts, Content(), SETTLE)
    return service
