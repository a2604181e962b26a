"""Real SSH keys, an agent, and signatures as `ssh-keygen` makes them."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.approval import NAMESPACE


def need_openssh() -> None:
    """Skips the test where the machine has no OpenSSH."""
    for program in ("ssh-keygen", "ssh-agent"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine: install openssh-client")


@dataclass(frozen=True)
class Key:
    """A key pair in files."""

    path: Path

    @classmethod
    def make(cls, folder: Path, name: str, kind: str = "ed25519") -> "Key":
        need_openssh()
        path = folder / name
        words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        return cls(path)

    @property
    def public(self) -> str:
        """Kind and key, without the comment."""
        return " ".join(self.path.with_suffix(".pub").read_text().split()[:2])

    def sign(self, text: str, *options: str, namespace: str = NAMESPACE) -> str:
        words = ["ssh-keygen", "-Y", "sign", "-q", "-n", namespace, *options, "-f", str(self.path)]
        return subprocess.run(words, input=text, check=True, capture_output=True, text=True).stdout


def allowed_signers(path: Path, lines: Iterable[str]) -> Path:
    """The file with these lines."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


class Agent:
    """`with Agent(folder) as environment:` an ssh-agent; the environment leads to it."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "agent"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> dict[str, str]:
        words = ["ssh-agent", "-D", "-a", str(self._socket)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout
        self._process.stdout.readline()  # it says where it listens once it does
        return {**os.environ, "SSH_AUTH_SOCK": str(self._socket)}

    def __exit__(self, *_: object) -> None:
        assert self._process
        assert self._process.stdout
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


def add(agent: dict[str, str], key: Key) -> None:
    """Give the agent the key."""
    subprocess.run(["ssh-add", "-q", str(key.path)], check=True, env=agent, capture_output=True)
