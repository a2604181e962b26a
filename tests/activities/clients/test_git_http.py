"""The git client and its token, against the sandbox's forge over HTTP."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from activities.clients.file_lock import take
from activities.errors import Refused, Unreachable
from deploy.sandbox.forge import Account, ForgeSettings, build_forge
from deploy.sandbox.pipeline_settings import PipelineSettings
from deploy.sandbox.serving import serving
from runbook.project import ForgeTable, ProjectTable
from runbook.trouble import Cause
from tests.activities.clients.origin import TOKEN, Origin, client, git

READER = Account("reader", "reader-token", "read")
STRANGER = Account("stranger", "stranger-token", "none")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A forge that has `origin` as acme/shop."""
    settings = ForgeSettings(TOKEN, accounts=(READER, STRANGER), pipeline=PipelineSettings(mode="never_starts"))
    async with serving(build_forge(tmp_path / "forge", settings)) as served:
        yield served.url


@pytest.fixture
def origin(tmp_path: Path, url: str) -> Origin:
    made = Origin(tmp_path / "origin")
    git(made.work, "push", "--quiet", str(tmp_path / "forge" / "acme" / "shop.git"), "main")
    return made


def project(url: str) -> ProjectTable:
    return ProjectTable(owner="acme", name="shop", repository=f"{url}/acme/shop.git")


def forge(tmp_path: Path, url: str, token: str = TOKEN) -> ForgeTable:
    (tmp_path / "token").write_text(token)
    return ForgeTable(url=url, token=f"file:{tmp_path / 'token'}")


async def test_the_token_opens_fetch_and_push(tmp_path: Path, url: str, origin: Origin) -> None:
    mine, table = client(tmp_path / "worker"), forge(tmp_path, url)
    assert await mine.branch_head(project(url), table) == origin.first
    assert await mine.read(project(url), table, origin.first, "CHANGELOG.md") is not None
    assert not await mine.push_tag(project(url), table, origin.first, "v1.4.0", "v1.4.0")
    assert await mine.tag_commit(project(url), table, "v1.4.0") == origin.first


async def test_the_token_is_nowhere_on_the_workers_disk(tmp_path: Path, url: str, origin: Origin) -> None:
    mine, table = client(tmp_path / "worker"), forge(tmp_path, url)
    await mine.push_tag(project(url), table, origin.first, "v1.4.0", "v1.4.0")
    written = [path.read_bytes() for path in (tmp_path / "worker").rglob("*") if path.is_file()]
    assert written
    assert not any(TOKEN.encode() in content for content in written)


@pytest.mark.parametrize(
    ("token", "cause", "said"),
    [
        ("wrong-token", Cause.CREDENTIALS, "check the forge.s token"),
        (STRANGER.token, Cause.REFUSED, "a hidden repository looks absent"),
    ],
)
async def test_a_token_that_opens_nothing_is_refused_and_not_printed(
    tmp_path: Path, url: str, origin: Origin, token: str, cause: Cause, said: str
) -> None:
    with pytest.raises(Refused, match=said) as refused:
        await client(tmp_path / "worker").branch_head(project(url), forge(tmp_path, url, token))
    assert refused.value.cause is cause
    assert token not in f"{refused.value} {refused.value.evidence}"


async def test_a_token_that_may_only_read_can_not_push(tmp_path: Path, url: str, origin: Origin) -> None:
    with pytest.raises(Refused, match="write:repository") as refused:
        await client(tmp_path / "worker").push_tag(
            project(url), forge(tmp_path, url, READER.token), origin.first, "v1.4.0", "v1.4.0"
        )
    assert refused.value.cause is Cause.CREDENTIALS


async def test_a_token_that_is_missing_on_the_worker_is_refused(tmp_path: Path, url: str, origin: Origin) -> None:
    table = ForgeTable(url=url, token=f"file:{tmp_path / 'nowhere'}")
    with pytest.raises(Refused, match="can't be read on the worker"):
        await client(tmp_path / "worker").branch_head(project(url), table)


@contextlib.asynccontextmanager
async def answering(answer: Response) -> AsyncIterator[tuple[str, list[str]]]:
    seen: list[str] = []

    async def endpoint(request: Request) -> Response:
        seen.append(request.headers.get("authorization", ""))
        return answer

    async with serving(Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])) as served:
        yield served.url, seen


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_forge_that_is_unwell_is_tried_again(tmp_path: Path, status: int) -> None:
    async with answering(Response("<html>busy</html>", status, media_type="text/html")) as (url, _):
        with pytest.raises(Unreachable, match=f"returned error: {status}"):
            await client(tmp_path / "worker").branch_head(project(url), forge(tmp_path, url))


async def test_a_forge_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async with answering(Response()) as (url, _):
        pass
    with pytest.raises(Unreachable, match="could not read the refs of acme/shop"):
        await client(tmp_path / "worker").branch_head(project(url), forge(tmp_path, url))


async def test_the_token_does_not_follow_a_redirect(tmp_path: Path) -> None:
    challenge = Response("who?", 401, headers={"WWW-Authenticate": 'Basic realm="elsewhere"'})
    async with answering(challenge) as (elsewhere, seen):
        moved = RedirectResponse(f"{elsewhere}/acme/shop.git/info/refs?service=git-upload-pack", 307)
        async with answering(moved) as (url, _):
            with pytest.raises(Refused, match="it has moved"):
                await client(tmp_path / "worker").branch_head(project(url), forge(tmp_path, url))
    assert seen == []


async def test_a_token_that_the_server_repeats_is_taken_out_of_what_it_said(
    tmp_path: Path, url: str, origin: Origin
) -> None:
    hook = tmp_path / "forge" / "acme" / "shop.git" / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho no, {TOKEN}, not you >&2\nexit 1\n")
    with pytest.raises(Refused, match="no, •••, not you") as refused:
        await client(tmp_path / "worker").push_tag(project(url), forge(tmp_path, url), origin.first, "v1.4.0", "v1.4.0")
    assert TOKEN not in f"{refused.value} {refused.value.evidence}"


READER_PROGRAM = """
import asyncio, sys
from pathlib import Path
from runbook.project import ForgeTable, ProjectTable
from tests.activities.clients.origin import client
folder, url = Path(sys.argv[1]), sys.argv[2]
project = ProjectTable(owner="acme", name="shop", repository=f"{url}/acme/shop.git")
forge = ForgeTable(url=url, token=f"file:{folder / 'token'}")
asyncio.run(client(folder / "worker").read(project, forge, "a" * 40, "VERSION"))
"""


async def test_a_fetch_that_outlives_its_killed_worker_keeps_the_next_one_away(tmp_path: Path) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def endpoint(_: Request) -> Response:
        asked.set()
        await go_on.wait()
        return Response("gone", 404)

    forge(tmp_path, "http://127.0.0.1:1")
    async with serving(Starlette(routes=[Route("/{path:path}", endpoint)])) as served:
        words = [sys.executable, "-c", READER_PROGRAM, str(tmp_path), served.url]
        worker = await asyncio.create_subprocess_exec(*words)
        await asyncio.wait_for(asked.wait(), 20)
        worker.kill()
        await worker.wait()
        [lock] = (tmp_path / "worker" / "mirrors").glob("*.lock")
        assert take(lock) is None
        go_on.set()
        deadline = time.monotonic() + 10
        while (held := take(lock)) is None:
            assert time.monotonic() < deadline, "the orphan never let go"
            await asyncio.sleep(0.01)
        os.close(held)
