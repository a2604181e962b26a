"""Jobs, logs and re-runs, as far as each forge can be asked, and what tells one end of a run from the next."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from activities.clients.forge import ForgeRepository, Mark, Run, State
from activities.errors import Unreachable
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from tests.activities.clients.forges import REPO, json_of, odd, sandbox
from tests.deploy.sandbox.forging import Bench

SHA = "a" * 40
RUNS, TASKS = "GET /actions/runs", "GET /actions/tasks"


async def tag_run(repository: ForgeRepository, sha: str, tag: str = "v1.0.0") -> Run | None:
    runs = await repository.runs(sha, tag=tag, workflow="release.yml")
    return runs[0] if runs else None


async def when(repository: ForgeRepository, sha: str, right: Callable[[Run], bool], tag: str = "v1.0.0") -> Run:
    deadline = time.monotonic() + 10
    while not ((run := await tag_run(repository, sha, tag)) and right(run)):
        assert time.monotonic() < deadline, f"the run is {run}"
        await asyncio.sleep(0.01)
    return run


def ended(run: Run) -> bool:
    return run.state.done


# ---- jobs and logs


@pytest.fixture
async def failed(tmp_path: Path) -> AsyncIterator[tuple[Bench, ForgeRepository, Run]]:
    async with sandbox(tmp_path, fail_first=1) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        yield held, repository, await when(repository, held.sha, ended)


async def test_the_failed_job_is_named_with_the_end_of_its_log(
    failed: tuple[Bench, ForgeRepository, Run],
) -> None:
    _, repository, run = failed
    jobs = await repository.jobs(run) or []
    [broken] = [job for job in jobs if job.state.broken]
    assert broken.url.startswith("http")
    assert any("told to fail" in line for line in await repository.log_tail(broken))


async def test_a_forge_without_jobs_or_logs_is_not_held_against_the_run(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "forgejo-15", fail_first=1) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        run = await when(repository, held.sha, ended)
        assert await repository.jobs(run) is None


async def test_forgejo_16_lists_jobs_bare_and_each_attempt_of_them(tmp_path: Path) -> None:
    jobs = [
        {"id": 5, "name": "build", "status": "failure", "attempt": 1},
        {"id": 6, "name": "build", "status": "success", "attempt": 2},
        {"id": 7, "name": "publish", "status": "waiting", "attempt": 1},
    ]
    run = {"id": 3, "workflow_id": "release.yml", "commit_sha": SHA, "trigger_event": "push", "prettyref": "v1.0.0"}
    answers = {
        RUNS: json_of({"workflow_runs": [{**run, "html_url": "http://f/acme/shop/actions/runs/1"}], "total_count": 1}),
        "GET /actions/runs/3/jobs": json_of(jobs),
    }
    async with odd(tmp_path, version="16.0.0+gitea-1.22.0", answers=answers) as (_, repository):
        [found] = await repository.runs(SHA)
        told = await repository.jobs(found) or []
    assert [(job.id, job.state) for job in told] == [(6, State.SUCCESS), (7, State.WAITING)]
    assert told[0].url == "http://f/acme/shop/actions/runs/1"


async def test_of_a_long_log_only_the_end_is_kept_and_without_colours(tmp_path: Path) -> None:
    log = "".join(f"line {number}\n" for number in range(100_000)) + "\x1b[31merror: \x1b[0mno disk\r\n\n"
    answers = {"GET /actions/jobs/5/logs": PlainTextResponse(log)}
    async with odd(tmp_path, answers=answers) as (_, repository):
        lines = await repository.log_tail(_job(5))
        assert lines[-2:] == ["line 99999", "error: no disk"]
        assert len(lines) == 12
        assert await repository.log_tail(_job(6)) == []


def _job(ident: int) -> Any:
    from activities.clients.forge import Job

    return Job(ident, "build", State.FAILURE, "")


# ---- once more


async def test_a_rerun_has_an_end_of_its_own(failed: tuple[Bench, ForgeRepository, Run]) -> None:
    held, repository, run = failed
    first = await repository.mark_of(run)
    assert first.same_as(str(await repository.mark_of(run)))
    held.change_pipeline(fail_first=2)
    assert await repository.rerun(run) == ""
    again = await when(repository, held.sha, ended)
    assert (again.id, again.state) == (run.id, State.FAILURE)
    assert not (await repository.mark_of(again)).same_as(str(first))
    held.change_pipeline(fail_first=0)
    assert await repository.rerun(again) == ""
    assert (await when(repository, held.sha, ended)).state is State.SUCCESS


@pytest.mark.parametrize(
    ("written", "same"),
    [("3/failure/t#7", True), ("3/failure/t#0", True), ("3/failure/t#6", False), ("3/failure/s#7", False), ("", False)],
)
def test_two_ends_in_the_same_second_are_told_apart_by_their_tasks(written: str, same: bool) -> None:
    assert Mark("3/failure/t", 7).same_as(written) is same
    assert Mark("3/failure/t", 0).same_as("3/failure/t#7")


async def test_an_end_stays_the_same_when_its_task_is_no_longer_on_the_first_page(
    failed: tuple[Bench, ForgeRepository, Run],
) -> None:
    held, repository, run = failed
    before = str(await repository.mark_of(run))
    for number in range(60):
        fields = {"ref": "refs/heads/main", "sha": SHA, "event": "push", "title": "", "workflow": "ci.yml"}
        held.forge.store.add(
            "task", "acme/shop", **fields, index=900 + number, name="t", status="success", created="", updated=""
        )
    assert (await repository.mark_of(run)).same_as(before)


async def test_a_run_under_way_is_not_run_again(tmp_path: Path) -> None:
    async with sandbox(tmp_path, takes=0.5) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        run = await when(repository, held.sha, lambda run: run.state is State.RUNNING)
        assert await repository.rerun(run) == "the forge answered 400"


@pytest.mark.parametrize("flavour", ["gitea-1.23", "forgejo-15"])
async def test_a_forge_that_can_not_be_asked_says_so(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour, fail_first=1) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        run = await when(repository, held.sha, ended)
        assert await repository.rerun(run) == "this forge re-runs only by hand"


async def test_a_forge_that_is_unwell_is_asked_again_for_a_rerun(failed: tuple[Bench, ForgeRepository, Run]) -> None:
    held, repository, run = failed
    held.faults.add(FaultRule(match=f"POST {REPO}/actions/runs/*/rerun", kind="status", status=502, times=1))
    with pytest.raises(Unreachable, match="answered 502"):
        await repository.rerun(run)
    assert await repository.rerun(run) == ""
