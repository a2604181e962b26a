"""The pipeline's steps, against the sandbox's forge in its flavours and against odd ones."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.errors import NotYet, Refused, Unreachable
from activities.pipeline import PipelineActivities
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from runbook.pipeline import FinishedRun, RunToAwait, RunToFind, RunToRepeat
from tests.activities.clients.forges import FLAVOURS, REPO, Odd
from tests.activities.clients.origin import git
from tests.activities.releasing import Orders
from tests.deploy.sandbox.forging import Bench, bench

T = TypeVar("T")
JOBS = ["build"]


@pytest.fixture
async def pipeline() -> AsyncIterator[PipelineActivities]:
    async with new_client() as http:
        yield PipelineActivities(ForgeClient(http))


async def patiently(look: Callable[[], Awaitable[T]], seconds: float = 10) -> T:
    """Look again for as long as it is not there yet, as the server does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await look()
        except NotYet:
            assert time.monotonic() < deadline, "it did not come in time"
            await asyncio.sleep(0.01)


class Steps:
    """The steps for one tag of one forge."""

    def __init__(self, pipeline: PipelineActivities, folder: Path, held: Bench | Odd, commit: str) -> None:
        self.pipeline = pipeline
        self.orders = Orders(folder, held.url, commit)
        self.table: dict[str, Any] = {"jobs": JOBS}

    async def find(self) -> Any:
        return await self.pipeline.find(RunToFind(**self.orders.run(**self.table)))

    async def end(self, run: int, after: str = "") -> FinishedRun:
        return await self.pipeline.end(RunToAwait(**self.orders.run(**self.table), run=run, after=after))

    async def rerun(self, run: int, after: str = "") -> Any:
        return await self.pipeline.rerun(RunToRepeat(**self.orders.run(**self.table), run=run, after=after))


# ---- on the sandbox's forge


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_run_is_found_and_awaited_to_a_good_end(
    tmp_path: Path, pipeline: PipelineActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"takes": 0.2}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        with pytest.raises(
            NotYet, match=r"no run of release\.yml for v1\.0\.0 on .* yet: check on\.push\.tags"
        ) as early:
            await steps.find()
        assert early.value.again is not None
        assert early.value.again.total_seconds() == 0.1
        await held.shop.push_tag("1.0.0", held.sha)
        found = await patiently(steps.find)
        assert found.url == f"{held.url}/acme/shop/actions/runs/{found.number}"
        with pytest.raises(NotYet, match=r"run 1 of v1\.0\.0 is (running|waiting)"):
            await steps.end(found.run)
        ended = await patiently(lambda: steps.end(found.run))
    assert (ended.succeeded, ended.run, ended.failed_jobs) == (True, found.run, [])


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_failed_run_is_a_finding_with_its_failed_jobs(
    tmp_path: Path, pipeline: PipelineActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"fail_first": 1}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        found = await patiently(steps.find)
        ended = await patiently(lambda: steps.end(found.run))
    assert not ended.succeeded
    assert ended.summary == "run 1 of release.yml ended as failure"
    if flavour != "forgejo-15":
        assert [job.partition(": ")[0] for job in ended.failed_jobs] == ["build"]
    if flavour == "gitea-1.26":
        assert any("told to fail" in line for line in ended.log_tail)


async def test_a_log_that_can_not_be_had_holds_nothing_up(tmp_path: Path, pipeline: PipelineActivities) -> None:
    async with bench(tmp_path, pipeline={"fail_first": 1}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        held.faults.add(FaultRule(match=f"GET {REPO}/actions/jobs/*/logs", kind="drop_before"))
        await held.shop.push_tag("1.0.0", held.sha)
        found = await patiently(steps.find)
        ended = await patiently(lambda: steps.end(found.run))
    assert (ended.succeeded, ended.log_tail, len(ended.failed_jobs)) == (False, [], 1)


async def test_failed_twice_and_then_good_by_running_it_again(tmp_path: Path, pipeline: PipelineActivities) -> None:
    async with bench(tmp_path, pipeline={"fail_first": 2}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        after, ends = "", list[bool]()
        while not ends or not ends[-1]:
            ended = await patiently(partial(steps.end, run, after))
            ends.append(ended.succeeded)
            if not ended.succeeded:
                after = ended.mark
                with pytest.raises(NotYet, match="was not started again yet"):
                    await steps.end(run, after)
                assert (await steps.rerun(run)).asked
    assert ends == [False, False, True]


async def test_a_rerun_that_is_asked_for_twice_happens_once(tmp_path: Path, pipeline: PipelineActivities) -> None:
    async with bench(tmp_path, pipeline={"fail_first": 1}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        ended = await patiently(lambda: steps.end(run))
        held.change_pipeline(takes=0.3)
        assert (await steps.rerun(run, ended.mark)).summary == "run 1 is started again"
        assert "already" in (await steps.rerun(run, ended.mark)).summary
        assert (await patiently(lambda: steps.end(run, ended.mark))).succeeded
        # An attempt that comes back to life after the re-run ended.
        assert (await steps.rerun(run, ended.mark)).asked
        assert held.faults.count("POST", f"{REPO}/actions/runs/*/rerun") == 1


async def test_a_rerun_that_failed_anew_meanwhile_is_left_to_the_next_look(
    tmp_path: Path, pipeline: PipelineActivities
) -> None:
    async with bench(tmp_path, pipeline={"fail_first": 5}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        ended = await patiently(lambda: steps.end(run))
        await steps.rerun(run, ended.mark)
        second = await patiently(lambda: steps.end(run, ended.mark))
        assert not second.succeeded
        assert (await steps.rerun(run, ended.mark)).summary == "run 1 was started again already"


@pytest.mark.parametrize("flavour", ["gitea-1.23", "forgejo-15"])
async def test_where_the_forge_can_not_be_asked_a_person_is(
    tmp_path: Path, pipeline: PipelineActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"fail_first": 1}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        ended = await patiently(lambda: steps.end(run))
        repeated = await steps.rerun(run, ended.mark)
        assert not repeated.asked
        assert repeated.summary == f"this forge re-runs only by hand: re-run it at {ended.url}"
        with pytest.raises(NotYet, match="was not started again yet"):
            await steps.end(run, ended.mark)


async def test_a_tag_that_was_pushed_again_is_followed_to_its_newer_run(
    tmp_path: Path, pipeline: PipelineActivities
) -> None:
    async with bench(tmp_path, pipeline={"fail_first": 1}) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        ended = await patiently(lambda: steps.end(run))
        (await held.client.delete("/tags/v1.0.0")).raise_for_status()
        git(held.root / "checkout", "tag", "-d", "v1.0.0")
        await held.shop.push_tag("1.0.0", held.sha)
        newer = await patiently(lambda: steps.end(run, ended.mark))
    assert newer.succeeded
    assert newer.run > run


async def test_a_run_that_was_deleted_is_not_waited_for(tmp_path: Path, pipeline: PipelineActivities) -> None:
    async with bench(tmp_path) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        with pytest.raises(Refused, match=r"run 7 of v1\.0\.0 is gone from"):
            await steps.end(7)
        with pytest.raises(Refused, match=r"run 7 of v1\.0\.0 is gone from"):
            await steps.rerun(7)


async def test_a_forge_that_is_unwell_fails_the_look_and_not_the_pipeline(
    tmp_path: Path, pipeline: PipelineActivities
) -> None:
    async with bench(tmp_path) as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        await held.shop.push_tag("1.0.0", held.sha)
        run = (await patiently(steps.find)).run
        held.faults.add(FaultRule(match=f"GET {REPO}/actions/runs", kind="status", status=503, times=1))
        with pytest.raises(Unreachable, match="answered 503"):
            await steps.end(run)
        assert (await patiently(lambda: steps.end(run))).succeeded


async def test_without_job_names_a_forge_of_jobs_alone_is_refused_at_once(
    tmp_path: Path, pipeline: PipelineActivities
) -> None:
    async with bench(tmp_path, flavour="gitea-1.23") as held:
        steps = Steps(pipeline, tmp_path, held, held.sha)
        steps.table = {}
        await held.shop.push_tag("1.0.0", held.sha)
        with pytest.raises(Refused, match=r"Gitea 1\.23 shows jobs and no runs.*pipeline\.jobs"):
            await patiently(steps.find)
