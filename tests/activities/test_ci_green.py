"""Whether a commit is green: all that checked it succeeded, its own tag's pipeline apart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.checkout import Checkouts
from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.commit import CommitActivities
from activities.errors import NotYet, Refused, Unreachable
from deploy.sandbox.forge import Flavour
from runbook.commit import CommitToCheck
from tests.activities.clients.forges import FLAVOURS, Odd, json_of, odd
from tests.activities.clients.origin import client
from tests.activities.releasing import Orders
from tests.deploy.sandbox.forging import Bench, bench, eventually

SHA = "a" * 40


@asynccontextmanager
async def group(folder: Path) -> AsyncIterator[CommitActivities]:
    async with new_client() as http:
        mine = client(folder / "worker")
        yield CommitActivities(mine, ForgeClient(http), Checkouts(mine))


@pytest.fixture
async def commits(tmp_path: Path) -> AsyncIterator[CommitActivities]:
    async with group(tmp_path) as made:
        yield made


def to_check(folder: Path, held: Bench | Odd, commit: str, version: str = "1.0.0") -> CommitToCheck:
    return CommitToCheck(**Orders(folder, held.url, commit, version).common)


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_commit_whose_checks_all_succeeded_is_green(
    tmp_path: Path, commits: CommitActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour) as held:
        found = await commits.ci_green(to_check(tmp_path, held, held.sha))
    assert (found.contexts, found.runs) == (2, 0)
    assert found.evidence == ["success: ci / lint (push)", "success: ci / test (push)"]


async def test_one_failed_check_is_refused_by_name(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        bad = {"state": "failure", "context": "security", "target_url": "http://ci.example.net/7"}
        (await held.client.post(f"/statuses/{held.sha}", json=bad)).raise_for_status()
        with pytest.raises(Refused, match=r"1 of 3 checks of commit .* did not succeed: security") as refused:
            await commits.ci_green(to_check(tmp_path, held, held.sha))
    assert refused.value.evidence == ["failure: security http://ci.example.net/7"]


async def test_a_failure_on_the_second_page_is_not_overlooked(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        for number in range(51):
            state = {"state": "success", "context": f"c{number}"}
            (await held.client.post(f"/statuses/{held.sha}", json=state)).raise_for_status()
        bad = {"state": "error", "context": "last"}
        (await held.client.post(f"/statuses/{held.sha}", json=bad)).raise_for_status()
        with pytest.raises(Refused, match="last"):
            await commits.ci_green(to_check(tmp_path, held, held.sha))


async def test_a_check_under_way_is_waited_for(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        await held.shop.set_checks(held.sha, "pending")
        with pytest.raises(NotYet, match=r"2 of 2 checks .* under way: ci / lint \(push\), ci / test \(push\)"):
            await commits.ci_green(to_check(tmp_path, held, held.sha))


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_no_check_at_all_is_not_green(tmp_path: Path, commits: CommitActivities, flavour: Flavour) -> None:
    async with bench(tmp_path, flavour=flavour) as held:
        made = await held.shop.commit_version("1.1.0")
        held.forge.store.all("status", "acme/shop", sha=made)
        for status in held.forge.store.all("status", "acme/shop", sha=made):
            held.forge.store.remove("status", status)
        with pytest.raises(Unreachable, match="no successful check at all, which is not green"):
            await commits.ci_green(to_check(tmp_path, held, made))


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_failed_pipeline_of_the_releases_own_tag_does_not_stand_in_the_way_of_the_next_try(
    tmp_path: Path, commits: CommitActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"fail_first": 9}) as held:
        await held.shop.push_tag("1.0.0", held.sha)

        async def failed() -> bool:
            rows = held.forge.store.all("status", "acme/shop", sha=held.sha)
            return any(row["status"] == "failure" for row in rows) and not _unfinished(held)

        await eventually(failed)
        found = await commits.ci_green(to_check(tmp_path, held, held.sha))
        assert (found.contexts, found.runs) == (2, 0)
        # For another version of the same commit it is a failed run like any other.
        with pytest.raises(Refused, match="did not succeed"):
            await commits.ci_green(to_check(tmp_path, held, held.sha, "1.0.1"))


def _unfinished(held: Bench) -> bool:
    return any(run["status"] not in {"success", "failure"} for run in held.forge.store.all("run", "acme/shop"))


def run_row(ident: int, conclusion: str, **more: Any) -> dict[str, Any]:
    status = "completed" if conclusion else "in_progress"
    fixed = {"id": ident, "run_number": ident, "head_sha": SHA, "event": "push", "path": "ci.yml@refs/heads/main"}
    url = f"http://f/acme/shop/actions/runs/{ident}"
    return {**fixed, "status": status, "conclusion": conclusion, "html_url": url, **more}


@asynccontextmanager
async def with_runs(folder: Path, *runs: dict[str, Any], statuses: Any = None) -> AsyncIterator[Odd]:
    answers = {
        "GET /actions/runs": json_of({"workflow_runs": list(runs), "total_count": len(runs)}),
        f"GET /commits/{SHA}/status": json_of({"statuses": statuses}, {"statuses": None}),
    }
    async with odd(folder, answers=answers) as (held, _):
        yield held


async def test_runs_count_as_checks_and_the_newest_of_each_workflow_decides(
    tmp_path: Path, commits: CommitActivities
) -> None:
    runs = [run_row(1, "failure"), run_row(2, "success"), run_row(3, "skipped", path="docs.yml@refs/heads/main")]
    async with with_runs(tmp_path, *runs) as held:
        found = await commits.ci_green(to_check(tmp_path, held, SHA))
    assert (found.contexts, found.runs) == (0, 2)


@pytest.mark.parametrize(
    ("runs", "error", "said"),
    [
        ([run_row(1, "success"), run_row(2, "failure")], Refused, r"ci\.yml for push of refs/heads/main"),
        ([run_row(1, "success"), run_row(2, "cancelled", event="schedule")], Refused, "for schedule of"),
        ([run_row(1, "success"), run_row(2, "")], NotYet, "1 of 1 checks"),
        ([run_row(1, "skipped")], Unreachable, "no successful check at all"),
        ([run_row(1, "success", path="release.yml@refs/tags/v1.0.0")], Unreachable, "no successful check at all"),
        ([run_row(1, "failure", path="release.yml@refs/tags/v1.0.0-rc.1")], Refused, r"refs/tags/v1\.0\.0-rc\.1"),
    ],
)
async def test_a_run_that_did_not_succeed_is_not_green(
    tmp_path: Path, commits: CommitActivities, runs: list[dict[str, Any]], error: type[Exception], said: str
) -> None:
    async with with_runs(tmp_path, *runs) as held:
        with pytest.raises(error, match=said):
            await commits.ci_green(to_check(tmp_path, held, SHA))


async def test_a_context_that_the_tags_run_wrote_over_is_told_by_its_address(
    tmp_path: Path, commits: CommitActivities
) -> None:
    runs = [run_row(1, "success"), run_row(2, "failure", path="ci.yml@refs/tags/v1.0.0")]
    statuses = [
        {"id": 1, "context": "ci / test (push)", "status": "failure", "target_url": "/acme/shop/actions/runs/2/jobs/0"},
        {"id": 2, "context": "lint", "status": "success", "target_url": "/acme/shop/actions/runs/22/jobs/0"},
    ]
    async with with_runs(tmp_path, *runs, statuses=statuses) as held:
        found = await commits.ci_green(to_check(tmp_path, held, SHA))
    assert (found.contexts, found.runs) == (1, 1)


async def test_a_commit_that_still_has_no_check_after_some_looks_is_refused(
    tmp_path: Path, commits: CommitActivities
) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(ActivityEnvironment.default_info(), attempt=7)
    async with with_runs(tmp_path) as held:
        with pytest.raises(Refused, match="no successful check at all"):
            await environment.run(commits.ci_green, to_check(tmp_path, held, SHA))
