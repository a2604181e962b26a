"""Issues and comments by marker: exactly once, labelled, and found again by whoever tries the second time."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from activities.clients.forge import ForgeRepository, Note
from activities.errors import Refused, Unreachable
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from runbook.trouble import Cause
from tests.activities.clients.forges import FLAVOURS, REPO, Answer, asking, json_of, odd, sandbox, sent
from tests.deploy.sandbox.forging import READER, Bench, bench

SINCE = datetime(2026, 1, 2, tzinfo=UTC) - timedelta(days=365 * 5)
QUIET: dict[str, Any] = {"mode": "never_starts"}


async def postmortem(repository: ForgeRepository, marker: str = "postmortem run-1") -> Note:
    return await repository.open_issue(
        marker=marker, label="postmortem", title="It went wrong", body="Why?", since=SINCE
    )


async def issues(held: Bench) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = await held.get("/issues", state="all")
    return listed


class Board:
    """The issues, comments and labels of an odd forge that also deletes."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = [{"id": 3, "name": "postmortem"}]
        self.may_delete = True
        self.sets_labels = True
        self.answers: dict[str, Answer | Response] = {
            "GET /labels": lambda _: JSONResponse(self.labels, headers={"X-Total-Count": str(len(self.labels))}),
            "GET /issues": lambda _: JSONResponse(self.issues, headers={"X-Total-Count": str(len(self.issues))}),
            "GET /issues/7": json_of({"number": 7}),
            "GET /issues/7/comments": lambda _: JSONResponse(self.comments or None),
            "POST /issues": self.open,
            "POST /issues/7/comments": self.comment,
        }

    def holds(self, number: int, marker: str, user: int = 1, **more: Any) -> None:
        labels = [{"id": 3, "name": "postmortem"}]
        fixed = {"id": 100 + number, "number": number, "user": {"id": user}, "state": "open", "labels": labels}
        self.issues.append({**fixed, "body": f"<!-- {marker} -->\nWhy?", "html_url": f"http://f/{number}", **more})
        self.answers[f"DELETE /issues/{number}"] = lambda _: self.drop(self.issues, number)
        self.answers[f"PATCH /issues/{number}"] = lambda _: self.close(number)
        self.answers[f"POST /issues/{number}/labels"] = lambda _: JSONResponse(labels if self.sets_labels else [])

    def says(self, ident: int, marker: str, user: int = 1, text: str = "Released") -> None:
        self.comments.append({"id": ident, "user": {"id": user}, "body": f"<!-- {marker} -->\n{text}"})
        self.answers[f"DELETE /issues/comments/{ident}"] = lambda _: self.drop(self.comments, ident)
        self.answers[f"PATCH /issues/comments/{ident}"] = lambda request: self.edit(ident, request)

    def drop(self, rows: list[dict[str, Any]], ident: int) -> Response:
        if not self.may_delete:
            return JSONResponse({"message": "no"}, 403)
        rows[:] = [row for row in rows if row.get("number", row["id"]) != ident]
        return Response(status_code=204)

    def close(self, number: int) -> Response:
        next(issue for issue in self.issues if issue["number"] == number)["state"] = "closed"
        return JSONResponse({}, 201)

    async def edit(self, ident: int, request: Request) -> Response:
        next(comment for comment in self.comments if comment["id"] == ident)["body"] = (await sent(request))["body"]
        return JSONResponse({})

    async def open(self, request: Request) -> Response:
        body = await sent(request)
        self.holds(len(self.issues) + 1, "", body=body["body"], labels=self.labels if self.sets_labels else [])
        return JSONResponse(self.issues[-1], 201)

    async def comment(self, request: Request) -> Response:
        self.says(len(self.comments) + 1, "")
        self.comments[-1]["body"] = (await sent(request))["body"]
        return JSONResponse(self.comments[-1], 201)


# ---- issues


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_issue_is_opened_once_with_its_label(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour, **QUIET) as (held, repository):
        first = await postmortem(repository)
        again = await postmortem(repository)
        other = await postmortem(repository, "postmortem run-2")
        assert (first.existed, again.existed, again.id) == (False, True, first.id)
        assert other.id != first.id
        assert first.url == f"{held.url}/acme/shop/issues/{first.id}"
        found = {issue["number"]: issue for issue in await issues(held)}
        assert set(found) == {first.id, other.id}
        assert [label["name"] for label in found[first.id]["labels"]] == ["postmortem"]
        assert found[first.id]["body"] == "<!-- postmortem run-1 -->\nWhy?"
        assert len(await held.get("/labels")) == 1


async def test_an_issue_that_somebody_closed_or_renamed_is_not_opened_again(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        first = await postmortem(repository)
        change = {"state": "closed", "title": "Done"}
        (await held.client.patch(f"/issues/{first.id}", json=change)).raise_for_status()
        assert (await postmortem(repository)).id == first.id
        assert len(await issues(held)) == 1


async def test_it_is_found_among_many_issues(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        first = await postmortem(repository)
        for number in range(55):
            (await held.client.post("/issues", json={"title": f"Other {number}"})).raise_for_status()
        assert (await postmortem(repository)).id == first.id


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_an_answer_that_is_lost_leaves_one_issue(tmp_path: Path, kind: str) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        held.faults.add(FaultRule.model_validate({"match": f"POST {REPO}/issues", "kind": kind, "times": 1}))
        if kind == "drop_before":
            with pytest.raises(Unreachable):
                await postmortem(repository)
        await postmortem(repository)
        assert len(await issues(held)) == 1


async def test_of_two_opened_at_the_same_moment_the_older_stays(tmp_path: Path) -> None:
    board = Board()
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        notes = await asyncio.gather(*(postmortem(repository) for _ in range(3)))
    assert {note.id for note in notes} == {1}
    assert [issue["number"] for issue in board.issues] == [1]


async def test_an_attempt_that_is_told_to_stop_while_it_opens_one_still_drops_it_when_it_comes_second(
    tmp_path: Path,
) -> None:
    """It froze before it asked; another attempt has opened the issue by the time it wakes, and it is cancelled."""
    board, asked, woken = Board(), asyncio.Event(), asyncio.Event()

    async def frozen(request: Request) -> Response:
        asked.set()
        await woken.wait()
        return await board.open(request)

    board.answers["POST /issues"] = frozen
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        opening = asyncio.create_task(postmortem(repository))
        await asked.wait()
        board.holds(1, "postmortem run-1")
        opening.cancel()
        woken.set()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert [issue["number"] for issue in board.issues] == [1]


async def test_a_second_one_that_may_not_be_deleted_is_closed(tmp_path: Path) -> None:
    board = Board()
    board.may_delete = False
    for number in (5, 4):
        board.holds(number, "postmortem run-1")
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        assert (await postmortem(repository)).id == 4
    assert {issue["number"]: issue["state"] for issue in board.issues} == {4: "open", 5: "closed"}


async def test_an_issue_of_somebody_who_copied_the_marker_is_left_alone(tmp_path: Path) -> None:
    board = Board()
    board.holds(4, "postmortem run-1")
    board.holds(5, "postmortem run-1", user=2)
    board.holds(6, "x", body="> <!-- postmortem run-1 -->")
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        await postmortem(repository)
    assert [issue["number"] for issue in board.issues] == [4, 5, 6]


async def test_a_list_that_does_not_show_the_new_issue_yet_does_not_make_a_second(tmp_path: Path) -> None:
    board = Board()
    board.answers["GET /issues"] = json_of([])
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        assert (await postmortem(repository)).id == 1
    assert len(board.issues) == 1


async def test_another_attempts_issue_is_kept_even_when_the_list_does_not_show_ours(tmp_path: Path) -> None:
    board = Board()
    board.holds(1, "postmortem run-1")
    board.answers["GET /issues"] = json_of([], [*board.issues])
    async with odd(tmp_path, answers=board.answers) as (held, repository):
        assert (await postmortem(repository)).id == 1
        assert held.count("POST /issues") == 1
    assert [issue["number"] for issue in board.issues] == [1]


async def test_issues_are_looked_for_by_time_and_not_by_label(tmp_path: Path) -> None:
    board, asked = Board(), list[dict[str, str]]()

    def look(request: Request) -> Response:
        asked.append(dict(request.query_params))
        return JSONResponse([])

    board.answers["GET /issues"] = look
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        await postmortem(repository)
    assert all("labels" not in query and "q" not in query for query in asked)
    assert {(query["since"], query["state"], query["type"]) for query in asked} == {
        (SINCE.isoformat(timespec="seconds"), "all", "issues")
    }


async def test_a_label_that_the_forge_drops_is_put_on_afterwards_or_refused(tmp_path: Path) -> None:
    board = Board()
    board.holds(4, "postmortem run-1", labels=[])
    async with odd(tmp_path, answers=board.answers) as (held, repository):
        assert (await postmortem(repository)).id == 4
        assert held.count("POST /issues/4/labels") == 1
        board.sets_labels = False
        with pytest.raises(Refused, match="does not put label postmortem on it"):
            await postmortem(repository)


async def test_a_user_who_may_not_write_labels_is_refused_before_an_issue_is_there(tmp_path: Path) -> None:
    async with bench(tmp_path) as held, asking(tmp_path, held.url, READER.token) as repository:
        with pytest.raises(Refused, match="write:issue") as refused:
            await postmortem(repository)
        assert refused.value.cause is Cause.CREDENTIALS
        assert await issues(held) == []


# ---- comments


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_comment_is_made_once_and_kept_right(tmp_path: Path, flavour: Flavour) -> None:
    async with sandbox(tmp_path, flavour, **QUIET) as (held, repository):
        (await held.client.post("/issues", json={"title": "Make checkout faster"})).raise_for_status()
        first = await repository.comment(1, marker="released v1.0.0", body="Released")
        again = await repository.comment(1, marker="released v1.0.0", body="Released, by alice")
        other = await repository.comment(1, marker="released v1.0.0-rc.1", body="Released")
        assert (first.existed, again.existed, again.id) == (False, True, first.id)
        bodies = {comment["id"]: comment["body"] for comment in await held.get("/issues/1/comments")}
        assert bodies == {
            first.id: "<!-- released v1.0.0 -->\nReleased, by alice",
            other.id: "<!-- released v1.0.0-rc.1 -->\nReleased",
        }


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_an_answer_that_is_lost_leaves_one_comment(tmp_path: Path, kind: str) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        (await held.client.post("/issues", json={"title": "Make checkout faster"})).raise_for_status()
        rule = {"match": f"POST {REPO}/issues/1/comments", "kind": kind, "times": 1}
        held.faults.add(FaultRule.model_validate(rule))
        if kind == "drop_before":
            with pytest.raises(Unreachable):
                await repository.comment(1, marker="m", body="Released")
        await repository.comment(1, marker="m", body="Released")
        assert len(await held.get("/issues/1/comments")) == 1


async def test_of_two_comments_made_at_the_same_moment_the_older_stays(tmp_path: Path) -> None:
    board = Board()
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        await asyncio.gather(*(repository.comment(7, marker="m", body="Released") for _ in range(3)))
    assert [comment["id"] for comment in board.comments] == [1]


async def test_somebody_who_quotes_the_comment_keeps_the_answer(tmp_path: Path) -> None:
    board = Board()
    board.says(1, "m")
    board.says(2, "m", user=2)
    board.comments.append({"id": 3, "user": {"id": 1}, "body": "> <!-- m -->\n> Released\n\nThanks"})
    async with odd(tmp_path, answers=board.answers) as (_, repository):
        await repository.comment(7, marker="m", body="Released")
    assert [comment["id"] for comment in board.comments] == [1, 2, 3]


async def test_an_issue_that_does_not_exist_is_refused_and_not_asked_for_ever(tmp_path: Path) -> None:
    async with sandbox(tmp_path, **QUIET) as (held, repository):
        with pytest.raises(Refused, match="GET /repos/acme/shop/issues/775 at"):
            await repository.comment(775, marker="m", body="Released")
        assert held.faults.count("POST", f"{REPO}/issues/*") == 0
