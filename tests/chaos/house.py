"""A house for the sweep: three workers that share the queue, one host of staging and three of production."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from deploy.demo.house import House
from deploy.demo.program import Program
from deploy.sandbox.sandbox_project import project_document, to_toml
from tests.chaos.fault import write_shots
from tests.chaos.points import FOLDER
from tests.chaos.worker import SANDBOX
from tests.nursery import Fork, Nursery

WORKERS = 3
WORKER = "tests.chaos.worker"
_PIPELINE_SECONDS = 0.1
_WORKER_WITHIN = 180.0


class ChaosHouse(House):
    """Its workers come from the nursery, and so does the code that they run."""

    def __init__(self, root: Path, nursery: Nursery) -> None:
        super().__init__(root, pipeline_seconds=_PIPELINE_SECONDS, ui_port=0)
        sandbox = [sys.executable, "-m", "deploy.sandbox", "up", "--root", str(root / "sandbox"), "--engine", "process"]
        sandbox += ["--baseline", "0.9.0", "--staging", "1", "--production", "3"]
        self._sandbox = self._program("sandbox", [*sandbox, "--pipeline-seconds", str(_PIPELINE_SECONDS)])
        self._nursery = nursery
        self.crew: list[Program] = []
        self._worker_numbers = itertools.count(1)
        self._ever: list[Program] = []
        self.chaos = root / "chaos"
        self.chaos.mkdir(parents=True, exist_ok=True)
        self.idle()

    @property
    def plan(self) -> Path:
        return self.chaos / "now.json"

    def idle(self) -> None:
        """Nothing happens at any point."""
        between = self.chaos / "between"
        between.mkdir(exist_ok=True)
        write_shots(self.plan, between, [])

    def close(self) -> None:
        for program in self._ever:
            if program.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(program.pid, signal.SIGCONT)
            program.kill()
        self.crew.clear()
        super().close()

    def hurry(self, soak: str = "1s") -> None:
        """Short waits in the project's file; what a step declares stays as it is in production."""
        document: dict[str, dict[str, Any]] = project_document(self.facts)
        document["production"]["soak"] = {"lasts": soak, "every": "200ms", "failures": 3, "within": "1m"}
        document["production"]["health_deadline"] = document["staging"]["health_deadline"] = "10s"
        document["pipeline"]["poll_every"] = "200ms"
        (self.facts.projects / "shop.toml").write_text(to_toml(document))

    def worker_environment(self) -> dict[str, str]:
        told = {**super().worker_environment(), FOLDER: str(self.chaos), SANDBOX: str(self.root / "sandbox")}
        return {**told, "RUNBOOK_GRACE": "3"}

    async def fill_crew(self) -> None:
        """Replace whoever is dead, and wait until the new ones poll."""
        self.crew = [program for program in self.crew if program.running()]
        missing = WORKERS - len(self.crew)
        self.crew += await asyncio.gather(*(asyncio.to_thread(self._started) for _ in range(missing)))

    def _started(self) -> Program:
        """A worker that polls. One whose server goes away while it starts ends, and is started again, as by systemd."""
        deadline = time.monotonic() + _WORKER_WITHIN
        while True:
            program = self._another()
            try:
                program.wait_for("worker ready", _WORKER_WITHIN)
            except RuntimeError:
                if program.running() or time.monotonic() > deadline:
                    program.kill()
                    raise
            else:
                return program

    def _another(self) -> Program:
        number = next(self._worker_numbers)
        name, environment = f"worker-{number}", {**os.environ, **self.environment, **self.worker_environment()}
        program = Fork(self._nursery, f"{WORKER}:serve", name, self.logs / f"{name}.log", environment)
        program.start()
        self._ever.append(program)
        return program

    def kill_crew(self) -> None:
        for program in self.crew:
            program.kill()

    def kill_temporal(self) -> None:
        self._temporal.kill()

    def tails(self) -> str:
        """The end of every log, for a house that could not go on."""
        logs = sorted(self.logs.glob("*.log"), key=lambda log: log.stat().st_mtime)[-6:]
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)


def opened(root: Path, nursery: Nursery) -> ChaosHouse:
    """A house in a folder made anew; enter it to start everything but the workers."""
    if root.exists():
        shutil.rmtree(root)
    return ChaosHouse(root, nursery)
