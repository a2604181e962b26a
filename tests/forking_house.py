"""The demo's house whose workers and starters are forked, so that a test that kills one waits for no imports."""

import os
from pathlib import Path

from deploy.demo.house import CHECKOUT, House
from deploy.demo.program import Program
from tests.nursery import Fork, Nursery


class ForkingHouse(House):
    """`nursery` has imported `worker` and `starter`; a worker of another checkout is a program as usual."""

    def __init__(self, root: Path, nursery: Nursery, *, pipeline_seconds: float = 4.0) -> None:
        super().__init__(root, pipeline_seconds=pipeline_seconds, ui_port=0)
        self._nursery = nursery

    def worker_program(self, name: str, checkout: Path, environment: dict[str, str]) -> Program:
        if checkout != CHECKOUT:
            return super().worker_program(name, checkout, environment)
        log = self.logs / f"{name}.log"
        return Fork(self._nursery, "worker:main", name, log, {**os.environ, **self.environment, **environment})

    async def run_starter(self, *words: str, **variables: str) -> tuple[int, str, str]:
        environment = {**os.environ, **self.environment, **variables}
        return await self._nursery.run("starter:main", self.starter_words(*words)[1:], environment)
