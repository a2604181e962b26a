"""A real Caddy on a host of the fleet, and services behind it."""

import contextlib
import itertools
import json
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

NETWORK, SUBNET, DYNAMIC = "behind", "172.30.0.0/24", "172.30.0.128/25"
ADMIN = "/run/caddy/admin.sock"
_pairs = itertools.count(1)


class Caddy:
    """`start` resumes what its configuration was last, as the unit that deploy/hosts.md installs."""

    def __init__(self, host: Host, admin: str = "localhost:2019") -> None:
        self.host = host
        self.admin = admin
        self._folder = host.path("/run/caddy")
        self._folder.mkdir(exist_ok=True)
        binary = Path(sysconfig.get_path("scripts")) / "caddy"
        if not (self._folder / "caddy-server").exists():
            # A checkout may be where a host has a folder of its own.
            shutil.copy(binary, self._folder / "caddy-server")
        networks = host.run("docker", "network", "ls", "--format", "{{.Name}}").split()
        if NETWORK not in networks:
            host.run("docker", "network", "create", "--subnet", SUBNET, "--ip-range", DYNAMIC, NETWORK)

    def configure(self, service: Service, *, tls: bool = False) -> None:
        """One site that sends everything to the service's handler, which has no upstream yet."""
        proxy, port = service.environment.proxy, service.environment.port
        assert proxy
        handler = {"@id": proxy.handler, "handler": "reverse_proxy", "upstreams": list[dict[str, str]]()}
        server: dict[str, Any] = {"listen": [f":{port}"], "routes": [{"handle": [handler]}]}
        apps: dict[str, Any] = {"http": {"servers": {"main": server}}}
        if tls:
            address = self.host.address
            server["tls_connection_policies"] = [{"default_sni": address}]
            issuing = {"policies": [{"subjects": [address], "issuers": [{"module": "internal"}]}]}
            apps["tls"] = {"certificates": {"automate": [address]}, "automation": issuing}
            apps["pki"] = {"certificate_authorities": {"local": {"install_trust": False}}}
        listen = f"unix/{self.admin}|0666" if self.admin.startswith("/") else self.admin
        config = {"admin": {"listen": listen}, "apps": apps}
        self.host.write("/run/caddy/config.json", json.dumps(config))

    def start(self) -> None:
        places = ["env", "XDG_CONFIG_HOME=/run/caddy", "XDG_DATA_HOME=/run/caddy"]
        self.host._start(
            "caddy", *places, "/run/caddy/caddy-server", "run", "--resume", "--config", "/run/caddy/config.json"
        )

    def await_port(self, port: int) -> None:
        until(lambda: self._listens(port), f"Caddy of {self.host.name} listens at {port}")

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.host.hit("caddy-server", how)
        until(lambda: not self.host.pids("caddy-server"), f"Caddy of {self.host.name} ends")

    def close(self) -> None:
        self.end()
        # The next one begins anew, with no configuration to resume and no authority.
        shutil.rmtree(self._folder / "caddy", ignore_errors=True)

    def authority(self) -> str:
        """The certificate of Caddy's own authority, as PEM."""
        path = self._folder / "caddy/pki/authorities/local/root.crt"
        until(path.exists, "Caddy has an authority of its own")
        return path.read_text()

    def _listens(self, port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host.address, port), 1):
            return True
        return False


def behind(shop: Shop, host: Host, caddy: Caddy, *, watched: bool = True, **changes: Any) -> Service:
    """A service on the port that Caddy has, with two addresses of its own; `watched` swaps measure how long it is away."""
    first = next(_pairs) * 2
    proxy = {
        "admin": caddy.admin,
        "handler": "shop",
        "network": NETWORK,
        "addresses": [f"172.30.0.{first}", f"172.30.0.{first + 1}"],
        "drain": "10s",
    }
    given = {"strategy": "blue_green", "proxy": proxy, "good_answers": 2, **changes}
    service = shop.service(host, **given)
    if not watched:
        service.activities = HostActivities(shop.hosts, Content(), SETTLE)
    return service
