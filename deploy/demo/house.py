"""The house: Temporal with its UI, the sandbox and the workers, each a process, all below one folder."""

import asyncio
import os
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from deploy.demo.program import Program
from deploy.ports import free_port
from deploy.sandbox.sandbox_facts import HostFacts, SandboxFacts
from runbook import names
from runbook.status import Status

CHECKOUT = Path(__file__).resolve().parents[2]
_READY_WITHIN = 45.0
_UI_PORT = 8233


class House:
    """`with House(root) as house:` everything is up; the folder holds every log and the ledger."""

    def __init__(self, root: Path, *, pipeline_seconds: float = 4.0, ui_port: int = _UI_PORT) -> None:
        """`ui_port` is where the UI is looked for first; 0 is any port, for houses that are made at the same moment."""
        self.root = root
        self.logs = root / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        # Not 7233: a worker of somebody else that looks for Temporal there would take the steps.
        self.port, self.ui_port = free_port(), free_port(preferred=ui_port)
        self._temporal = self._program("temporal", self._temporal_words())
        sandbox = [sys.executable, "-m", "deploy.sandbox", "up", "--root", str(root / "sandbox"), "--baseline", "0.9.0"]
        self._sandbox = self._program("sandbox", [*sandbox, "--pipeline-seconds", str(pipeline_seconds)])
        self.worker: Program | None = None
        self._workers = list[Program]()
        self.facts: SandboxFacts

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What starter.py, the `temporal` command and a worker need to find Temporal."""
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        return {"TEMPORAL_ADDRESS": self.address, "PATH": path, "PYTHONPATH": str(CHECKOUT)}

    def __enter__(self) -> Self:
        try:
            self._sandbox.start()
            self.start_temporal()
            self._sandbox.wait_for("sandbox up", _READY_WITHIN)
            self.facts = SandboxFacts.read(self.root / "sandbox")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for program in (*self._workers, self._sandbox, self._temporal):
            program.stop()

    def start_worker(self, checkout: Path = CHECKOUT, **variables: str) -> Program:
        """Another worker, ready to work, with these variables beside its own; `worker` is the newest."""
        environment = {**self.worker_environment(), "PYTHONPATH": str(checkout), **variables}
        self.worker = self.worker_program(f"worker-{len(self._workers) + 1}", checkout, environment)
        self._workers.append(self.worker)
        self.worker.start()
        self.worker.wait_for("worker ready", _READY_WITHIN)
        return self.worker

    async def connect(self) -> Client:
        return await Client.connect(self.address, data_converter=pydantic_data_converter)

    async def publish(self, version: str, **how: Any) -> str:
        """The shop's developers commit a version; its commit."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(f"{self.facts.admin}/versions", json={"version": version, **how})
            return str(answer.raise_for_status().json()["commit"])

    async def starter(self, *words: str) -> str:
        """What `starter.py` with these words prints; RuntimeError when it ends other than well."""
        return printed("starter.py", *await self.run_starter(*words))

    async def run_starter(self, *words: str, **variables: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of `starter.py` with these words."""
        return await run_of(self.starter_words(*words), {**self.environment, **variables})

    def starter_words(self, *words: str) -> list[str]:
        return [sys.executable, str(CHECKOUT / "starter.py"), *words]

    def worker_program(self, name: str, checkout: Path, environment: dict[str, str]) -> Program:
        """A worker of this checkout, not started yet; `environment` is what is its own."""
        return self._program(name, self.worker_words(checkout), environment)

    def worker_words(self, checkout: Path = CHECKOUT) -> list[str]:
        return [sys.executable, str(checkout / "worker.py")]

    def restart_temporal(self, after: float = 0.0) -> None:
        """SIGKILL to the server, and another on its database after so many seconds."""
        self._temporal.kill()
        time.sleep(after)
        self.start_temporal()

    def start_temporal(self) -> None:
        """Until it answers. It chooses ports for its own use as it starts: where one is taken meanwhile, it is started again."""
        for left in (2, 1, 0):
            self._temporal.start()
            try:
                self._wait_for_temporal()
            except RuntimeError:
                if not left or "address already in use" not in self._temporal.tail():
                    raise
            else:
                return

    async def temporal(self, words: list[str]) -> str:
        """What the `temporal` command with these words prints."""
        return await output_of(words, self.environment)

    async def drift(self, host: HostFacts, name: str, value: str) -> None:
        """Somebody edits the env file of one host."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(f"{self.facts.admin}/env/{host.name}", json={"lines": {name: value}})
            answer.raise_for_status()

    def secret_values(self) -> list[str]:
        """The sandbox's secrets, to look for where they must not be."""
        named = (self.facts.forge.token_env, self.facts.registry.password_env)
        return [*map(self.secret, named), self.facts.ssh_key.read_text().splitlines()[1]]

    def secret(self, name: str) -> str:
        """The value of one of the sandbox's secrets."""
        return self.worker_environment()[name]

    def worker_environment(self) -> dict[str, str]:
        lines = self.facts.worker_env.read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines if "=" in line)
        return {**self.environment, **{name: shlex.split(value)[0] for name, value in told.items()}}

    def _program(self, name: str, words: list[str], environment: dict[str, str] | None = None) -> Program:
        return Program(name, words, self.logs / f"{name}.log", {**self.environment, **(environment or {})})

    def _temporal_words(self) -> list[str]:
        words = [temporal_command(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        words += ["--ui-port", str(self.ui_port), "--db-filename", str(self.root / "temporal.db")]
        # One shard of a development server polls 20 times a second by default, which makes every step wait.
        for queue in ("transfer", "timer", "visibility"):
            words += ["--dynamic-config-value", f"history.{queue}ProcessorMaxPollRPS=2000"]
        return [*words, "--log-level", "error"]

    def _wait_for_temporal(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            self._temporal.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"Temporal does not answer at {self.address}:\n{self._temporal.tail()}")


async def status_of(handle: WorkflowHandle[Any, Any]) -> Status:
    return Status.model_validate(await handle.query(names.STATUS))


async def output_of(words: list[str], environment: dict[str, str]) -> str:
    """What it prints; RuntimeError when it ends other than well."""
    return printed(words[0], *await run_of(words, environment))


def printed(program: str, status: int, out: str, err: str) -> str:
    """What it printed; RuntimeError when it ended other than well."""
    if status:
        raise RuntimeError(f"{program} ended with {status}: {err}{out}")
    return out


async def run_of(words: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def temporal_command() -> str:
    """Beside this Python where `make setup` put it, otherwise on the PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if not found:
        raise RuntimeError("the `temporal` command is missing: run `make setup`")
    return found
