"""From an image's words to a program that this machine can start without a container runtime."""

import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.sandbox.engine_errors import EngineError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI = (
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec"
)
MARK = "SANDBOX_CONTAINER"
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class CannotExecute(EngineError):
    """A start that can't work; `exit_code` is what Docker notes in the container's state."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(400, message)
        self.exit_code = exit_code


def command_line(rootfs: Path, config: dict[str, Any]) -> list[str]:
    """Entrypoint and Cmd with absolute paths below `rootfs`; `python…` is this interpreter, `sh` the machine's."""
    words = [*_words(config.get("Entrypoint")), *_words(config.get("Cmd"))]
    if not words:
        raise EngineError(400, "No command specified")
    arguments = [_below(rootfs, word) for word in words[1:]]
    name = PurePosixPath(words[0]).name
    if name.startswith("python"):
        # Isolated and without site: the service needs the standard library only, and starts three times faster.
        return [sys.executable, "-I", "-S", *arguments]
    program = _find(rootfs, working_directory(rootfs, config), words[0])
    if program is None and name == "sh":
        return ["/bin/sh", *arguments]
    if program is None:
        raise CannotExecute(NOT_FOUND, f'{_OCI}: "{words[0]}": executable file not found in $PATH: unknown')
    if not os.access(program, os.X_OK) or program.is_dir():
        raise CannotExecute(NOT_EXECUTABLE, f'{_OCI}: "{words[0]}": permission denied: unknown')
    return [str(program), *arguments]


def working_directory(rootfs: Path, config: dict[str, Any]) -> Path:
    folder = rootfs / (config.get("WorkingDir") or "/").lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def environment(config: dict[str, Any], hostname: str, port: int, mark: str) -> dict[str, str]:
    """Nothing of the sandbox's own environment; `mark`, the container's id, lets a later sandbox know its leftovers."""
    given = dict(line.split("=", 1) for line in config.get("Env") or [] if "=" in line)
    inside = {"HOST": "127.0.0.1", "PORT": str(port)}
    return {"PATH": _PATH, "HOSTNAME": hostname, **given, **inside, MARK: mark}


def _words(given: list[str] | str | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or [])


def _below(rootfs: Path, word: str) -> str:
    inside = rootfs / word.lstrip("/")
    return str(inside) if word.startswith("/") and inside.exists() else word


def _find(rootfs: Path, here: Path, program: str) -> Path | None:
    if program.startswith("/"):
        places = [rootfs / program.lstrip("/")]
    elif "/" in program:
        places = [here / program]
    else:
        places = [rootfs / folder.lstrip("/") / program for folder in _PATH.split(":")]
    return next((place for place in places if place.exists()), None)
