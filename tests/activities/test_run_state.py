"""When a run has come to its end, on forges that tell of runs and on those that tell of jobs alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.errors import NotYet
from activities.pipeline import PipelineActivities
from runbook.pipeline import FinishedRun, RunToAwait, RunToFind, RunToRepeat
from tests.activities.clients.forges import Answer, Odd, json_of, odd
from tests.activities.releasing import Orders
from tests.deploy.sandbox.forging import Bench

SHA = "a" * 40
JOBS = ["build"]


@pytest.fixture
async def pipeline() -> AsyncIterator[PipelineActivities]:
    async with new_client() as http:
        yield PipelineActivities(ForgeClient(http))


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


def tasks(*rows: tuple[int, str, str]) -> Answer:
    fixed = {
        "head_sha": SHA,
        "head_branch": "v1.0.0",
        "event": "push",
        "workflow_id": "release.yml",
        "run_number": 7,
        "url": "http://f/acme/shop/actions/runs/7",
    }
    listed = [{"id": ident, "name": name, "status": status, **fixed} for ident, name, status in rows]

    def page(request: Request) -> Response:
        return JSONResponse({"workflow_runs": listed if request.query_params["page"] == "1" else []})

    return page


def statuses(*rows: tuple[str, str]) -> Answer:
    listed = [
        {"id": number, "context": f"c{number}", "status": status, "target_url": url}
        for number, (status, url) in enumerate(rows)
    ]
    return lambda request: JSONResponse({"statuses": listed if request.query_params["page"] == "1" else None})


OURS, ANOTHERS = "/acme/shop/actions/runs/7/jobs/1", "/acme/shop/actions/runs/77/jobs/1"


@pytest.mark.parametrize(
    ("rows", "contexts", "ended"),
    [
        ([(1, "build", "success")], [], None),
        ([(1, "build", "success"), (2, "publish", "running")], [], None),
        ([(1, "build", "success"), (2, "publish", "success")], [], True),
        ([(1, "build", "success"), (2, "publish", "success")], [("pending", OURS)], None),
        ([(1, "build", "success"), (2, "publish", "success")], [("pending", ANOTHERS)], True),
        ([(1, "build", "failure")], [], False),
        ([(1, "build", "success"), (2, "publish", "failure")], [("pending", OURS)], None),
        ([(1, "build", "success"), (2, "publish", "failure"), (3, "publish", "success")], [], True),
        ([(1, "build", "success"), (2, "publish", "cancelled")], [], False),
        ([(1, "build", "success"), (2, "lint", "success")], [], None),
    ],
)
async def test_jobs_alone_make_a_run_when_all_expected_are_there_and_nothing_pends(
    tmp_path: Path,
    pipeline: PipelineActivities,
    rows: list[tuple[int, str, str]],
    contexts: list[tuple[str, str]],
    ended: bool | None,
) -> None:
    answers: dict[str, Answer | Response] = {
        "GET ": json_of({"has_actions": True}),
        "GET /actions/tasks": tasks(*rows),
        f"GET /commits/{SHA}/status": statuses(*contexts),
    }
    async with odd(tmp_path, version="1.23.8", answers=answers) as (held, _):
        steps = Steps(pipeline, tmp_path, held, SHA)
        steps.table = {"jobs": ["build", "publish"]}
        assert (await steps.find()).run == 7
        if ended is None:
            with pytest.raises(NotYet):
                await steps.end(7)
        else:
            assert (await steps.end(7)).succeeded is ended


def gitea_run(conclusion: str) -> dict[str, Any]:
    run = {"id": 3, "run_number": 2, "path": "release.yml@refs/tags/v1.0.0", "head_sha": SHA, "event": "push"}
    return {**run, "status": "completed", "conclusion": conclusion, "html_url": "http://f/acme/shop/actions/runs/3"}


@pytest.mark.parametrize(
    ("conclusion", "jobs", "succeeded", "said"),
    [
        ("success", [("build", "success")], True, "run 2 of release.yml succeeded"),
        ("success", [("build", "skipped")], False, "ended as failure because build did not run"),
        ("success", [("lint", "success")], False, "ended as failure because build did not run"),
        ("success", None, True, "run 2 of release.yml succeeded"),
        ("skipped", [], False, "ended as failure because all of it was skipped"),
        ("cancelled", [], False, "ended as cancelled"),
    ],
)
async def test_a_run_that_built_nothing_did_not_succeed(
    tmp_path: Path,
    pipeline: PipelineActivities,
    conclusion: str,
    jobs: list[tuple[str, str]] | None,
    succeeded: bool,
    said: str,
) -> None:
    answers: dict[str, Answer | Response] = {
        "GET /actions/runs": json_of({"workflow_runs": [gitea_run(conclusion)], "total_count": 1}),
        "GET /actions/tasks": tasks(),
    }
    if jobs is not None:
        listed = [
            {"id": ident, "name": name, "status": "completed", "conclusion": end}
            for ident, (name, end) in enumerate(jobs)
        ]
        answers["GET /actions/runs/3/jobs"] = json_of({"jobs": listed, "total_count": len(listed)})
    async with odd(tmp_path, answers=answers) as (held, _):
        ended = await Steps(pipeline, tmp_path, held, SHA).end(3)
    assert ended.succeeded is succeeded
    assert ended.summary.endswith(said)
