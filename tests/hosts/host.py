"""A host for tests: namespaces, files and users of its own, with a real sshd and a real Docker engine."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import asyncssh

from tests.hosts.network import Network
from tests.hosts.processes import begin, children, command_of, end, sharing, until

SCRIPT = Path(__file__).with_name("host.sh")
USER, STRANGER = "deploy", "carol"
ENV_FILE = "/etc/opt/shop/production.env"

_SSHD = """\
Port 22
HostKey /etc/ssh/fleet_host_key
PidFile /run/sshd.pid
AuthorizedKeysFile /etc/ssh/fleet_authorized_keys
AllowStreamLocalForwarding yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
Subsystem sftp internal-sftp
"""


class Host:
    """`begin` only starts it; `ready` waits. Both engine and sshd may be ended and started again."""

    def __init__(self, network: Network, number: int, name: str, room: str = "2g") -> None:
        """`room` is what the engine has for images and containers."""
        self.name = name
        self.address = network.claim.address(number)
        self._network = network
        self._number = number
        self._room = room
        self._outer: subprocess.Popen[bytes]
        self._started: list[subprocess.Popen[bytes]] = []

    def begin(self, client_key: str) -> None:
        """`client_key` is the public key that both users are let in with."""
        self._network.join(self.name, self._number)
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        self._outer = begin([*self._network.inside(self.name), *alone, "sh", str(SCRIPT), self._room])
        assert self._outer.stdout
        assert self._outer.stdout.readline() == b"ready\n", f"{self.name} did not begin"
        (self._first,) = children(self._outer.pid)
        self._add_users()
        self.write("/etc/ssh/fleet_authorized_keys", client_key)
        self.write("/etc/ssh/fleet_sshd_config", _SSHD)
        self.new_host_key()
        self.start_sshd()
        self.start_engine()

    def ready(self) -> None:
        self.await_sshd()
        self.await_engine()

    def path(self, path: str) -> Path:
        """A file of the host, as the machine sees it."""
        return Path(f"/proc/{self._first}/root{path}")

    def write(self, path: str, content: str) -> None:
        there = self.path(path)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(content)
        there.chmod(0o644)

    def run(self, *words: str) -> str:
        """A command on the host, as root."""
        told = subprocess.run([*self._inside(), *words], capture_output=True, text=True, check=False)
        assert told.returncode == 0, f"{' '.join(words)} on {self.name}: {told.stderr.strip()[-500:]}"
        return told.stdout

    def pids(self, command: str) -> list[int]:
        """Of the host's processes with this name, outside its containers."""
        found: list[int] = []
        for pid in sharing(self._first):
            with contextlib.suppress(OSError):
                found += [pid] if command_of(pid) == command else []
        return found

    def hit(self, command: str, how: signal.Signals) -> None:
        for pid in self.pids(command):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)

    def kill_main_process(self, container: str) -> None:
        """As a crash would: the engine hears of it, nobody asked for it."""
        pid = self.run("docker", "inspect", "--format", "{{.State.Pid}}", container).strip()
        self.run("sh", "-c", f"kill -9 {pid}")

    def new_host_key(self) -> None:
        """As when a host was set up anew; sshd reads it when it starts."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.write("/etc/ssh/fleet_host_key", key.export_private_key().decode())
        self.path("/etc/ssh/fleet_host_key").chmod(0o600)
        self.host_key = key.export_public_key().decode().strip()

    def start_sshd(self) -> None:
        self._start("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/fleet_sshd_config")

    def await_sshd(self) -> None:
        until(self._has_sshd, f"sshd of {self.name} listens")

    def end_sshd(self) -> None:
        """With its connections, as the host's own end would."""
        self.hit("sshd", signal.SIGKILL)
        until(lambda: not self.pids("sshd"), f"sshd of {self.name} ends")

    def start_engine(self) -> None:
        group = ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self._network.claim.name}"]
        places = ["--data-root", "/run/engine", "--exec-root", "/run/docker"]
        registry = ["--insecure-registry", self._network.range]
        self._start("engine", "dockerd", *places, *group, *registry)

    def await_engine(self) -> None:
        until(self._has_engine, f"the engine of {self.name} answers")

    def end_engine(self, how: signal.Signals = signal.SIGTERM) -> None:
        """TERM stops its containers first; KILL leaves them running."""
        self.hit("dockerd", how)
        until(lambda: not self.pids("dockerd"), f"the engine of {self.name} ends")

    def restart_engine(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.end_engine(how)
        self.start_engine()
        self.await_engine()

    def cut(self) -> None:
        self._network.cut(self.name)

    def mend(self) -> None:
        self._network.mend(self.name)

    def close(self) -> None:
        end(self._outer)
        for process in self._started:
            end(process)

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._first), "--net", "--mount", "--pid"]

    def _start(self, log: str, *words: str) -> None:
        self._started.append(begin([*self._inside(), *words], self.path(f"/run/{log}.log")))

    def _add_users(self) -> None:
        """`deploy` may use the engine, `carol` may not; nobody else sees them."""
        self._append("/etc/passwd", "".join(f"{n}:x:{u}:{u}::/run/home:/bin/sh\n" for n, u in _USERS.items()))
        self._append("/etc/shadow", "".join(f"{name}:*:20000:0:99999:7:::\n" for name in _USERS))
        groups = [line for line in self.path("/etc/group").read_text().splitlines() if not line.startswith("docker:")]
        own = [f"{name}:x:{number}:" for name, number in _USERS.items()]
        self.write("/etc/group", "\n".join([*groups, *own, f"docker:x:64000:{USER}", ""]))

    def _append(self, path: str, lines: str) -> None:
        with self.path(path).open("a") as file:
            file.write(lines)

    def _has_sshd(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, 22), 1) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _has_engine(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path("/run/docker.sock")))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200" in connection.recv(64)
        return False


_USERS = {USER: 64001, STRANGER: 64002}
