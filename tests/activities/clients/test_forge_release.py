"""The forge's release of a tag: once, on the right tag, whatever the forge's answer was."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from activities.clients.forge import Published, Release
from activities.errors import Refused, Unreachable
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from runbook.trouble import Cause
from tests.activities.clients.forges import FLAVOURS, REPO, Answer, json_of, odd, sandbox, sent
from tests.deploy.sandbox.forging import Bench

RELEASE = Release("v1.0.0", "v1.0.0", "What is new", prerelease=False)
SHA = "a" * 40
TAG, BY_TAG, CREATE = "GET /tags/v1.0.0", "GET /releases/tags/v1.0.0", "POST /releases"
QUIET: dict[str, Any] = {"mode": "never_starts"}


async def releases(held: Bench) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = await held.get("/releases")
    return listed


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_release_is_published_once_and_found_again(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour, **QUIET) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        first = await repository.publish(RELEASE, held.sha)
        again = await repository.publish(RELEASE, held.sha)
        assert (first.existed, again.existed, again.id) == (False, True, first.id)
        assert first.url == f"{held.url}/acme/shop/releases/tag/v1.0.0"
        [release] = await releases(held)
        assert release["body"] == "What is new"
        assert held.faults.count("PATCH", f"{REPO}/releases/*") == 0


async def test_a_release_that_says_something_else_is_made_to_say_this(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        by_hand = {"tag_name": "v1.0.0", "name": "Mine", "body": "?", "draft": True, "prerelease": True}
        (await held.client.post("/releases", json=by_hand)).raise_for_status()
        published = await repository.publish(RELEASE, held.sha)
        [release] = await releases(held)
        told = {key: release[key] for key in ("name", "body", "draft", "prerelease")}
        assert told == {"name": "v1.0.0", "body": "What is new", "draft": False, "prerelease": False}
        assert published == Published(release["id"], release["html_url"], existed=True)


async def test_without_its_tag_nothing_is_published_and_no_tag_is_made(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        with pytest.raises(Refused, match=r"there is no tag v1\.0\.0"):
            await repository.publish(RELEASE, held.sha)
        assert await held.get("/tags") == []
        assert await releases(held) == []


async def test_a_tag_on_another_commit_is_not_published(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        with pytest.raises(Refused, match=f"stands on {held.sha[:12]}, not on {SHA[:12]}") as refused:
            await repository.publish(RELEASE, SHA)
        assert refused.value.cause is Cause.TAG_MOVED
        assert await releases(held) == []


async def test_a_release_of_a_tag_in_another_case_is_not_taken_for_ours(tmp_path: Path) -> None:
    release = Release("v1.0.0-rc.1", "v1.0.0-rc.1", "text", prerelease=True)
    answers: dict[str, Answer | Response] = {
        "GET /tags/v1.0.0-rc.1": json_of({"commit": {"sha": SHA}}),
        "GET /releases/tags/v1.0.0-rc.1": json_of({"id": 1, "tag_name": "v1.0.0-RC.1"}),
    }
    async with odd(tmp_path, answers=answers) as (_, repository):
        with pytest.raises(Refused, match=r"has a release v1\.0\.0-RC\.1"):
            await repository.publish(release, SHA)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_an_answer_that_is_lost_leaves_one_release(tmp_path: Path, kind: str) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        rule = {"match": f"POST {REPO}/releases", "kind": kind, "times": 1}
        held.faults.add(FaultRule.model_validate(rule))
        if kind == "drop_before":
            with pytest.raises(Unreachable):
                await repository.publish(RELEASE, held.sha)
        assert (await repository.publish(RELEASE, held.sha)).existed is (kind == "drop_after")
        assert len(await releases(held)) == 1
        assert held.faults.count("POST", f"{REPO}/releases") == (2 if kind == "drop_before" else 1)


async def test_attempts_at_the_same_moment_publish_one_release(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        await held.shop.push_tag("1.0.0", held.sha)
        published = await asyncio.gather(*(repository.publish(RELEASE, held.sha) for _ in range(5)))
        assert len({release.id for release in published}) == 1
        assert len(await releases(held)) == 1


async def test_a_release_that_another_attempt_makes_between_look_and_act_is_taken(tmp_path: Path) -> None:
    made = {"id": 7, "tag_name": "v1.0.0", "html_url": "http://f/release", "body": "Another text"}
    corrected: list[Any] = []

    async def correct(request: Request) -> Response:
        corrected.append(await sent(request))
        return JSONResponse({})

    answers: dict[str, Answer | Response] = {
        TAG: json_of({"commit": {"sha": SHA}}),
        CREATE: JSONResponse({"message": "Release is has no Tag"}, 409),
        "PATCH /releases/7": correct,
    }
    async with odd(tmp_path, answers=answers) as (held, repository):

        def by_tag(_: Request) -> Response:
            return JSONResponse(made) if held.count(CREATE) else JSONResponse({}, 404)

        held.answers[BY_TAG] = by_tag
        assert await repository.publish(RELEASE, SHA) == Published(7, "http://f/release", existed=True)
    assert [body["body"] for body in corrected] == ["What is new"]


async def test_a_conflict_without_a_release_is_tried_again(tmp_path: Path) -> None:
    answers: dict[str, Answer | Response] = {
        TAG: json_of({"commit": {"sha": SHA}}),
        CREATE: JSONResponse({"message": "?"}, 409),
    }
    async with odd(tmp_path, answers=answers) as (_, repository):
        with pytest.raises(Unreachable, match="answered 409, yet there is no release"):
            await repository.publish(RELEASE, SHA)


@pytest.mark.parametrize(
    ("status", "said"), [(422, "answered 422 .*protected"), (403, "write:repository"), (423, "archived")]
)
async def test_a_forge_that_takes_no_release_is_not_asked_again(tmp_path: Path, status: int, said: str) -> None:
    answers: dict[str, Answer | Response] = {
        TAG: json_of({"commit": {"sha": SHA}}),
        CREATE: JSONResponse({"message": "release tag name is protected"}, status),
    }
    async with odd(tmp_path, answers=answers) as (held, repository):
        with pytest.raises(Refused, match=said):
            await repository.publish(RELEASE, SHA)
        assert held.count(CREATE) == 1
