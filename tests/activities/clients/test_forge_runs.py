"""Statuses, runs, jobs, logs and re-runs, on forges with a runs API and on one without."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from activities.clients.forge import ForgeRepository, Run, State
from activities.errors import Refused
from deploy.sandbox.forge import Flavour
from runbook.trouble import Cause
from tests.activities.clients.forges import FLAVOURS, json_of, odd, sandbox

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


# ---- statuses


async def test_the_contexts_of_every_page_are_read(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as (held, repository):
        for number in range(60):
            status = {"state": "success" if number else "failure", "context": f"c{number}"}
            (await held.client.post(f"/statuses/{held.sha}", json=status)).raise_for_status()
        found = await repository.contexts(held.sha)
    assert {context.name for context in found} >= {f"c{number}" for number in range(60)}
    assert [context.name for context in found if context.state.broken] == ["c0"]


async def test_a_total_that_counts_one_page_alone_does_not_end_the_reading(tmp_path: Path) -> None:
    pages: list[Any] = [
        {"statuses": [{"id": number, "context": f"c{number}", "status": "success"}], "total_count": 1}
        for number in (1, 2)
    ]
    answer = json_of(*pages, {"statuses": None, "total_count": 0})
    async with odd(tmp_path, answers={f"GET /commits/{SHA}/status": answer}) as (_, repository):
        assert [context.name for context in await repository.contexts(SHA)] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("success", State.SUCCESS),
        ("skipped", State.SKIPPED),
        ("pending", State.WAITING),
        ("failure", State.FAILURE),
        ("error", State.FAILURE),
        ("warning", State.FAILURE),
        ("a word of next year", State.WAITING),
    ],
)
async def test_a_state_is_never_taken_for_a_better_one(tmp_path: Path, word: str, state: State) -> None:
    statuses = [{"id": 1, "context": "ci", "status": word, "target_url": None}]
    answer = json_of({"state": "success", "total_count": 1, "statuses": statuses}, {"statuses": None})
    async with odd(tmp_path, answers={f"GET /commits/{SHA}/status": answer}) as (_, repository):
        assert [context.state for context in await repository.contexts(SHA)] == [state]


# ---- the run of a tag


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_run_of_the_tag_is_found_and_followed_to_its_end(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour) as (held, repository):
        assert await tag_run(repository, held.sha) is None
        await held.shop.push_tag("1.0.0", held.sha)
        run = await when(repository, held.sha, ended)
        assert run.state is State.SUCCESS
        assert (run.workflow, run.event, run.commit) == ("release.yml", "push", held.sha)
        assert run.ref in {"refs/tags/v1.0.0", "v1.0.0"}
        assert run.url.startswith(f"{held.url}/acme/shop/actions/runs/")
        assert [context for context in await repository.contexts(held.sha) if run.owns(context.url)]


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_failed_run_is_told_from_one_under_way(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour, fail_first=1, takes=0.2) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        assert not (await when(repository, held.sha, lambda _: True)).state.done
        assert (await when(repository, held.sha, ended)).state is State.FAILURE


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_runs_of_another_tag_commit_or_workflow_are_not_taken_for_it(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        await when(repository, held.sha, ended)
        assert await repository.runs(held.sha, tag="v1.0", workflow="release.yml") == []
        assert await repository.runs(held.sha, tag="v1.0.0", workflow="other.yml") == []
        assert await repository.runs("b" * 40, tag="v1.0.0", workflow="release.yml") == []
        assert len(await repository.runs(held.sha)) == 1


async def test_a_branch_of_the_tags_name_is_not_the_tag_where_the_forge_says_so(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "path": "release.yml@refs/heads/v1.0.0", "head_sha": SHA, "event": "push", "head_branch": "v1.0.0"},
        {
            "id": 2,
            "workflow_id": "release.yml",
            "commit_sha": SHA,
            "trigger_event": "push",
            "prettyref": "v1.0.0",
            "event_payload": '{"ref":"refs/heads/v1.0.0"}',
        },
        {"id": 3, "path": "release.yml@refs/tags/v1.0.0", "head_sha": SHA, "event": "workflow_dispatch"},
    ]
    async with odd(tmp_path, answers={RUNS: json_of({"workflow_runs": rows, "total_count": 3})}) as (_, repository):
        assert await tag_run(repository, SHA) is None
        assert [run.id for run in await repository.runs(SHA)] == [3, 2, 1]


async def test_a_forge_that_ignores_the_filter_is_not_believed(tmp_path: Path) -> None:
    row = {"id": 1, "path": "release.yml@refs/tags/v1.0.0", "head_sha": "b" * 40, "event": "push"}
    answer = json_of({"workflow_runs": [row], "total_count": 1})
    async with odd(tmp_path, answers={RUNS: answer}) as (_, repository):
        assert await repository.runs(SHA) == []


async def test_forgejo_without_a_readable_event_is_believed_its_short_ref(tmp_path: Path) -> None:
    row = {"id": 2, "workflow_id": "release.yml", "commit_sha": SHA, "trigger_event": "push", "prettyref": "v1.0.0"}
    for payload in ("{half", "", '{"ref": 7}'):
        answer = json_of({"workflow_runs": [{**row, "event_payload": payload}], "total_count": 1})
        async with odd(tmp_path, version="12.0.0+gitea-1.22.0", answers={RUNS: answer}) as (_, repository):
            assert (await tag_run(repository, SHA)) is not None


@pytest.mark.parametrize(
    ("status", "conclusion", "state"),
    [
        ("queued", None, State.WAITING),
        ("waiting", None, State.WAITING),
        ("in_progress", None, State.RUNNING),
        ("completed", "success", State.SUCCESS),
        ("completed", "failure", State.FAILURE),
        ("completed", "cancelled", State.CANCELLED),
        ("completed", "skipped", State.SKIPPED),
        ("completed", None, State.FAILURE),
        ("completed", "a word of next year", State.FAILURE),
    ],
)
async def test_a_conclusion_counts_only_once_the_run_is_completed(
    tmp_path: Path, status: str, conclusion: str | None, state: State
) -> None:
    row = {"id": 1, "path": "release.yml@refs/tags/v1.0.0", "head_sha": SHA, "event": "push"}
    row |= {"status": status, "conclusion": conclusion}
    answer = json_of({"workflow_runs": [row], "total_count": 1})
    async with odd(tmp_path, answers={RUNS: answer}) as (_, repository):
        run = await tag_run(repository, SHA)
        assert run is not None
        assert run.state is state


# ---- without a runs API


def task(ident: int, name: str, status: str, **more: Any) -> dict[str, Any]:
    row = {"id": ident, "name": name, "status": status, "head_sha": SHA, "head_branch": "v1.0.0", "run_number": 7}
    fixed = {"event": "push", "workflow_id": "release.yml", "url": "http://f/acme/shop/actions/runs/7"}
    return {**row, **fixed, "created_at": "2026-01-02T10:00:00+01:00", **more}


async def test_of_each_job_the_newest_attempt_counts(tmp_path: Path) -> None:
    rows = [
        task(9, "build", "success"),
        task(8, "build", "failure", run_number=6),
        task(4, "publish", "success"),
        task(3, "build", "failure"),
    ]
    answers = {"GET ": json_of({"has_actions": True}), TASKS: json_of({"workflow_runs": rows}, {"workflow_runs": []})}
    async with odd(tmp_path, version="1.23.8", answers=answers) as (_, repository):
        runs = await repository.runs(SHA, tag="v1.0.0", workflow="release.yml")
    assert [(run.number, run.state) for run in runs] == [(7, State.SUCCESS), (6, State.FAILURE)]
    assert {job.name: job.id for job in runs[0].seen or ()} == {"build": 9, "publish": 4}


async def test_tasks_are_read_back_to_the_commit_and_no_further(tmp_path: Path) -> None:
    def page(request: Request) -> Response:
        number = int(request.query_params["page"])
        rows = [
            task(1000 - number, "test", "success", head_sha="c" * 40, created_at=f"2026-01-{28 - number:02}T00:00:00Z")
        ]
        return JSONResponse({"workflow_runs": rows, "total_count": 500})

    made = JSONResponse({"sha": SHA, "created": "2026-01-20T00:00:00+02:00"})
    answers = {"GET ": json_of({"has_actions": True}), TASKS: page, f"GET /git/commits/{SHA}": made}
    async with odd(tmp_path, version="1.23.8", answers=answers) as (held, repository):
        assert await repository.runs(SHA) == []
        assert held.count(TASKS) == 10
        await repository.runs(SHA)
        assert held.count(f"GET /git/commits/{SHA}") == 1


async def test_a_missing_endpoint_is_found_out_once(tmp_path: Path) -> None:
    answers = {"GET ": json_of({"has_actions": True}), TASKS: json_of({"workflow_runs": []})}
    async with odd(tmp_path, version="1.23.8", answers=answers) as (held, repository):
        for _ in range(3):
            assert await repository.runs(SHA) == []
        assert held.count(RUNS) == 1


async def test_a_repository_without_actions_has_no_runs(tmp_path: Path) -> None:
    answers = {"GET ": json_of({"has_actions": False}), RUNS: JSONResponse({"message": "no"}, 403)}
    async with odd(tmp_path, answers=answers) as (_, repository):
        assert await repository.runs(SHA) == []


async def test_a_token_that_may_not_see_runs_is_not_taken_for_a_repository_without(tmp_path: Path) -> None:
    answers = {"GET ": json_of({"has_actions": True}), RUNS: JSONResponse({"message": "no"}, 403)}
    async with odd(tmp_path, answers=answers) as (_, repository):
        with pytest.raises(Refused, match="needs the scope read:repository") as refused:
            await repository.runs(SHA)
    assert refused.value.cause is Cause.CREDENTIALS
