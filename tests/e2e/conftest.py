"""The house of the demo, for tests: a real Temporal server, the sandbox, real worker and starter processes."""

import asyncio
import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from deploy.demo.house import House, status_of
from deploy.demo.outside import Outside
from runbook import names
from runbook.status import State, Status
from tests.forking_house import ForkingHouse
from tests.growth import Growth
from tests.nursery import Nursery

_LOOK_EVERY = 0.1
_numbers = itertools.count(1)


@dataclass
class Play:
    """One house with a client and looks from outside; `version` is a new one each time."""

    house: House
    client: Client
    outside: Outside
    version: str = field(default_factory=lambda: f"1.0.{next(_numbers)}")

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(names.lane("shop"))

    @property
    def image(self) -> str:
        registry = self.house.facts.registry
        return f"{registry.address}/{registry.image}:v{self.version}@"

    async def start(self, **publish: Any) -> str:
        """The commit of a new version whose release has been started and admitted."""
        commit = await self.house.publish(self.version, **publish)
        await self.house.starter("start", "shop", self.version, "--as", "carol")
        return commit

    async def until_started(self) -> None:
        """Until a run of this version holds the lane."""
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(RPCError):
                if (await status_of(self.handle)).version == self.version:
                    return
            assert time.monotonic() < deadline, f"{self.version} was not started"
            await asyncio.sleep(0.1)

    async def until(self, reached: Callable[[Status], bool], within: float = 90) -> Status:
        deadline, growth, status = time.monotonic() + within, Growth(self.handle), None
        while True:
            if await growth.seen():
                status = await status_of(self.handle)
                if reached(status):
                    return status
            assert time.monotonic() < deadline, f"never reached: {status}"
            await asyncio.sleep(_LOOK_EVERY)

    async def at_gate(self) -> Status:
        return await self.until(lambda status: status.gate is not None and status.gate.open)

    async def at(self, step: str, *, host: str = "", state: State = State.RUNNING) -> Status:
        return await self.until(
            lambda status: any(
                row.name == step and host in {"", row.host} and (row.state is state or row.state is State.DONE)
                for row in status.rows
            )
        )

    async def ended(self) -> Status:
        """How it ended, once its run is closed too: the lane is free then."""
        status = await self.until(lambda status: status.outcome is not None)
        with contextlib.suppress(WorkflowFailureError):
            await self.handle.result()
        return status

    async def approve(self, status: Status, by: str = "alice") -> None:
        payload = json.dumps({"by": by, "digest": status.digest})
        words = ["temporal", "workflow", "signal", "--workflow-id", names.lane("shop")]
        await self.house.temporal([*words, "--name", names.APPROVE, "--input", payload])

    async def refused(self, *words: str) -> str:
        """The one line with which `starter.py` refuses this, with exit status 2."""
        code, out, err = await self.house.run_starter(*words)
        assert code == 2, f"{code}: {out}{err}"
        lines = err.strip().splitlines()
        assert len(lines) == 1, err
        return lines[0]

    async def assert_one_of_everything(self, commit: str) -> None:
        """One tag on the commit, one release record, one container a host with the image, no ledger row twice."""
        tags = await self.outside.tags(self.version)
        assert tags[f"refs/tags/v{self.version}^{{}}"] == commit
        assert len(tags) == 2
        assert len(await self.outside.releases(self.version)) == 1
        for host in self.house.facts.hosts:
            running = self.outside.running(host)
            assert [each["image"].startswith(self.image) for each in running] == [True], (host.name, running)
            assert await self.outside.answer(host) == f"v{self.version}"
        rows = self.outside.ledger()
        assert len(rows) == len({row["event"] for row in rows})
        mine = [row for row in rows if row["version"] == self.version and row["action"] == "outcome"]
        assert [row["outcome"] for row in mine] == ["released"]


@pytest.fixture(scope="session")
def house(nursery: Nursery) -> Generator[House]:
    # A short path: the engines' UNIX sockets are below it.
    with (
        tempfile.TemporaryDirectory(prefix="rr-") as folder,
        ForkingHouse(Path(folder), nursery, pipeline_seconds=0.3) as house,
    ):
        house.start_worker()
        yield house


@pytest.fixture
async def play(house: House) -> AsyncGenerator[Play]:
    """A lane that nothing holds, and a worker that runs."""
    client = await house.connect()
    if house.worker is None or not house.worker.running():
        await asyncio.to_thread(house.start_worker)
    play = Play(house, client, Outside(house))
    yield play
    # Nothing to end where nothing was started, or where it has ended by itself.
    with contextlib.suppress(RPCError):
        await play.handle.terminate("the test has ended")
