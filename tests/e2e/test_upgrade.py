"""A release that waits at its gate while the worker is upgraded: real processes of two builds, one with two more steps."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from deploy.demo.house import CHECKOUT, printed
from deploy.demo.program import Program
from runbook import steps
from runbook.status import Outcome
from tests.e2e.builds import next_build
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OLD, NEW = "1.0.0", "1.1.0"


@pytest.fixture(scope="session")
def new_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next_build(tmp_path_factory.mktemp("next"))


@dataclass
class Upgrade:
    """A task queue of its own, on which workers of both builds are started one after the other."""

    play: Play
    new: Path
    queue: str
    versioning: str = ""

    async def worker(self, build: str) -> Program:
        told = {"RUNBOOK_TASK_QUEUE": self.queue}
        if self.versioning:
            told |= {"RUNBOOK_DEPLOYMENT": self.queue, "RUNBOOK_BUILD_ID": build, "RUNBOOK_VERSIONING": self.versioning}
        checkout = CHECKOUT if build == OLD else self.new
        return await asyncio.to_thread(lambda: self.play.house.start_worker(checkout, **told))

    async def make_current(self, build: str) -> None:
        """As docs/operations.md says."""
        words = ["set-current-version", "--deployment-name", self.queue, "--build-id", build, "--yes"]
        # The server learns of a build's task queues by itself, some moments after its first polls.
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.temporal("worker", "deployment", *words)
                except RuntimeError as error:
                    if "missing active task queues" not in str(error):
                        raise
                else:
                    return
                await asyncio.sleep(1)

    async def start(self) -> str:
        """A new version's release; its commit."""
        commit = await self.play.house.publish(self.play.version)
        words = ("start", "shop", self.play.version, "--as", "carol")
        printed("starter.py", *await self.play.house.run_starter(*words, RUNBOOK_TASK_QUEUE=self.queue))
        return commit

    async def finishes(self, commit: str) -> None:
        await self.play.approve(await self.play.at_gate())
        ended = await self.play.ended()
        assert ended.outcome is Outcome.RELEASED, ended.summary
        await self.play.assert_one_of_everything(commit)

    async def temporal(self, *words: str) -> str:
        return await self.play.house.temporal(["temporal", *words])

    async def proofs(self) -> int:
        """How often the release proved the registry's credentials: once, and once more for each new step that it took."""
        return len(await self._events(lambda event: event.activity_task_scheduled_event_attributes.activity_type.name))

    async def builds(self) -> list[str]:
        """Which builds performed the release's workflow tasks, in their order."""
        done = [
            event.workflow_task_completed_event_attributes.deployment_version.build_id
            async for event in self.play.handle.fetch_history_events()
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        return [build for place, build in enumerate(done) if done[place - 1 : place] != [build]]

    async def _events(self, of: Callable[[Any], str]) -> list[Any]:
        wanted = steps.CREDENTIALS.name
        return [event async for event in self.play.handle.fetch_history_events() if of(event) == wanted]


async def test_it_goes_on_with_the_next_build_and_takes_only_the_steps_that_are_still_to_come(
    play: Play, new_build: Path
) -> None:
    upgrade = Upgrade(play, new_build, "upgrade-in-place")
    old = await upgrade.worker(OLD)
    commit = await upgrade.start()
    await play.at_gate()
    await upgrade.worker(NEW)
    await asyncio.to_thread(old.stop)
    await upgrade.finishes(commit)
    assert await upgrade.proofs() == 2


async def test_with_auto_upgrade_it_goes_on_with_the_build_that_was_made_current(play: Play, new_build: Path) -> None:
    upgrade = Upgrade(play, new_build, "upgrade-by-itself", "auto_upgrade")
    old = await upgrade.worker(OLD)
    old.wait_for("this build is not the current one")
    await upgrade.make_current(OLD)
    commit = await upgrade.start()
    await play.at_gate()
    await upgrade.worker(NEW)
    await upgrade.make_current(NEW)
    await upgrade.finishes(commit)
    assert await upgrade.proofs() == 2
    assert await upgrade.builds() == [OLD, NEW]


async def test_a_pinned_release_ends_with_the_build_that_it_began_with_and_the_next_one_begins_with_the_new(
    play: Play, new_build: Path
) -> None:
    upgrade = Upgrade(play, new_build, "upgrade-pinned", "pinned")
    await upgrade.worker(OLD)
    await upgrade.make_current(OLD)
    commit = await upgrade.start()
    await play.at_gate()
    await upgrade.worker(NEW)
    await upgrade.make_current(NEW)
    await upgrade.finishes(commit)
    assert await upgrade.proofs() == 1
    assert await upgrade.builds() == [OLD]

    later = Play(play.house, play.client, play.outside)
    upgrade.play = later
    commit = await upgrade.start()
    await upgrade.finishes(commit)
    assert await upgrade.proofs() == 3
    assert await upgrade.builds() == [NEW]
    standing = await upgrade.temporal(
        "worker", "deployment", "describe-version", "--deployment-name", upgrade.queue, "--build-id", OLD
    )
    assert "drain" in standing.lower(), standing
