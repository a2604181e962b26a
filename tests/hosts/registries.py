"""Debian's docker-registry in the hub of a fleet: open, with Basic authentication, or answering 500 to everything."""

import signal
import subprocess
import urllib.error
import urllib.request

from tests.hosts.network import Network
from tests.hosts.processes import begin, end, until

USER, PASSWORD = "puller", "correct horse"
# bcrypt of the password at its lowest cost, which is all that docker-registry reads and nothing in Python writes.
_HTPASSWD = f"{USER}:$2b$04$/uvVo0pJw4EyGoQRu2NBzePGHqOpL/9X5hLndkTfpnYHTv5I1yw4y\n"

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  delete: {{enabled: true}}
http:
  addr: {address}
"""
_AUTH = """\
auth:
  htpasswd: {{realm: fleet, path: {path}}}
"""


class Registry:
    """One docker-registry; `address` is what images of it are called by."""

    def __init__(self, network: Network, name: str, port: int) -> None:
        self.folder = network.claim.folder / name
        self.storage = self.folder / "storage"
        self.address = f"{network.hub}:{port}"
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, auth: bool = False, broken: bool = False, of: "Registry | None" = None) -> "Registry":
        """Broken is one whose storage is a file, so that it answers 500 whatever it is asked for; `of` is another
        one whose images it gives out as well.
        """
        self.folder.mkdir(exist_ok=True)
        passwords, config = self.folder / "htpasswd", self.folder / "config.yml"
        if broken:
            self.storage.write_text("not a folder")
        passwords.write_text(_HTPASSWD)
        text = _CONFIG.format(storage=of.storage if of else self.storage, address=self.address)
        config.write_text(text + (_AUTH.format(path=passwords) if auth else ""))
        words = [*self._network.inside("hub"), "docker-registry", "serve", str(config)]
        self._process = begin(words, self.folder / "log")
        until(self._answers, f"registry at {self.address} answers")
        return self

    def pause(self) -> None:
        """It keeps its connections and answers nothing any more."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process:
            end(self._process)

    def _signal(self, how: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(how)

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.address}/v2/", timeout=2):
                return True
        except urllib.error.HTTPError as answer:
            answer.close()
            return True
        except OSError:
            return False
