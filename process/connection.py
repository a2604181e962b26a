"""The connection to Temporal: the standard `TEMPORAL_*` variables and `temporal.toml`, checked, and tried with patience."""

import asyncio
import getpass
import itertools
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

import structlog
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime

from process.settings import BadSettings

log = structlog.stdlib.get_logger()

_DEFAULT_ADDRESS = "localhost:7233"
_ADDRESS = re.compile(r"[^/\s@]+:\d{1,5}")
_SWITCHES = {"true", "false", "1", "0"}
_ONE_TRY = timedelta(seconds=10)
_LONGEST_PAUSE = 15.0


class Unconnected(Exception):
    """Temporal could not be reached in time; the message is one line."""


@dataclass(frozen=True)
class Target:
    """Which Temporal, resolved; printing it shows no secret."""

    address: str
    namespace: str
    tls: bool
    options: ClientConnectConfig = field(repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Raises BadSettings; `environment` is the process's own when left out."""
        variables = os.environ if environment is None else environment
        faults = list(filter(None, (_switch_fault(variables), _file_fault(variables))))
        options = ClientConnectConfig()
        try:
            options = ClientConfig.load_client_connect_config(
                config_file_strict=True, override_env_vars=dict(variables)
            )
        except (RuntimeError, OSError) as error:
            faults.append(f"Temporal's settings (TEMPORAL_*, temporal.toml): {_without_source(str(error))}")
        address = options.setdefault("target_host", _DEFAULT_ADDRESS)
        if not _ADDRESS.fullmatch(address):
            faults.append(f"TEMPORAL_ADDRESS: {address[:100]!r} is no address; write host:port, without a scheme")
        if faults:
            raise BadSettings(faults)
        return cls(
            address=address,
            namespace=options.setdefault("namespace", "default"),
            tls=bool(options.get("tls")),
            options=options,
        )

    def __str__(self) -> str:
        return f"{self.address} (namespace {self.namespace}, {'TLS' if self.tls else 'no TLS'})"

    def secrets(self) -> dict[str, SecretStr]:
        """What must never be printed: the API key and the headers' values, by where they come from."""
        found = {f"TEMPORAL_GRPC_META {name}": value for name, value in self.options.get("rpc_metadata", {}).items()}
        found["TEMPORAL_API_KEY"] = self.options.get("api_key", "")
        return {name: SecretStr(value) for name, value in found.items() if value}


async def connect(
    target: Target, *, program: str, patience: timedelta | None = None, runtime: Runtime | None = None
) -> Client:
    """A client, tried again with growing pauses for as long as `patience` (None: for ever).

    Raises:
        Unconnected: patience is spent.
    """
    loop = asyncio.get_running_loop()
    until = None if patience is None else loop.time() + patience.total_seconds()
    for attempt in itertools.count():
        try:
            async with asyncio.timeout(_ONE_TRY.total_seconds() if until is None else max(0.5, until - loop.time())):
                return await Client.connect(
                    **target.options,
                    data_converter=pydantic_data_converter,
                    identity=identity(program),
                    runtime=runtime,
                )
        except (RuntimeError, OSError) as error:
            why = _short(str(error) or "no answer in time")
        pause = min(_LONGEST_PAUSE, 0.2 * 2**attempt)
        if until is not None and loop.time() + pause > until:
            raise Unconnected(f"Temporal does not answer at {target}: {why}; start it or set TEMPORAL_ADDRESS")
        if until is None:
            log.warning("temporal does not answer, trying again", target=str(target), why=why, pause=pause)
        await asyncio.sleep(pause)
    raise AssertionError("unreachable: the loop above has no end")


def identity(program: str) -> str:
    """How Temporal's UI and history name this process: which program, whose, where."""
    return f"{program}@{socket.gethostname()}/{os.getpid()}{_login()}"


def _login() -> str:
    try:
        return f"/{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def _switch_fault(variables: Mapping[str, str]) -> str | None:
    """Anything else than a switch would be taken as TLS on."""
    value = variables.get("TEMPORAL_TLS")
    if value is None or value.lower() in _SWITCHES:
        return None
    return f"TEMPORAL_TLS: {value[:20]!r} is no switch; write true or false"


def _file_fault(variables: Mapping[str, str]) -> str | None:
    """A file that is not there would silently be none."""
    path = variables.get("TEMPORAL_CONFIG_FILE")
    if not path or Path(path).is_file():
        return None
    return f"TEMPORAL_CONFIG_FILE: there is no file {path}"


def _without_source(message: str) -> str:
    """The parser's complaint without the line it quotes, which may hold a key."""
    lines = [line.strip() for line in message.splitlines() if "|" not in line]
    return ", ".join(line for line in lines if line)


def _short(message: str) -> str:
    """The innermost reason of the SDK's nested error text."""
    said = re.findall(r'(?:message|error): (?:"([^"]+)"|(\w+\(\w+\)))', message)
    return "".join(said[-1]) if said else " ".join(message.split())[:200]
