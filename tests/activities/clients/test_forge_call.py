"""How the forge client takes answers nobody wants: by status code, naming what was asked and what to do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from activities.clients.forge import ForgeRepository, Release
from activities.clients.forge_product import Product, product_of
from activities.errors import Refused, StepError, Unreachable
from deploy.sandbox.faults import FaultRule
from runbook.trouble import Cause
from tests.activities.clients.forges import REPO, Answer, asking, cut, json_of, odd, sandbox
from tests.deploy.sandbox.forging import NARROW, STRANGER, TOKEN, bench

SHA = "a" * 40
STATUS = f"GET /commits/{SHA}/status"


async def look(repository: ForgeRepository) -> None:
    await repository.contexts(SHA)


@pytest.mark.parametrize(
    ("answer", "error", "cause", "said"),
    [
        (JSONResponse({"message": "bad"}, 401), Refused, Cause.CREDENTIALS, "the token file:.* is not valid"),
        (JSONResponse({"message": "scope"}, 403), Refused, Cause.CREDENTIALS, "needs the scope read:repository"),
        (JSONResponse(None, 404), Refused, Cause.REFUSED, "the token file:.* may not see it"),
        (JSONResponse({"message": "is archived"}, 423), Refused, Cause.REFUSED, "archived"),
        (JSONResponse(["odd"], 422), Refused, Cause.REFUSED, "answered 422: this forge does not take it"),
        (
            RedirectResponse("/api/v1/repos/acme/store?x=1"),
            Refused,
            Cause.REFUSED,
            "moved to /api/v1/repos/acme/store;",
        ),
        (HTMLResponse("<h1>busy</h1>", 503), Unreachable, Cause.UNREACHABLE, "answered 503: the forge is unwell"),
        (JSONResponse({"message": ""}, 500), Unreachable, Cause.UNREACHABLE, "answered 500: the forge is unwell"),
        (PlainTextResponse("slow down", 429), Unreachable, Cause.UNREACHABLE, "answered 429"),
        (HTMLResponse("<h1>log in</h1>"), Unreachable, Cause.UNREACHABLE, "200 with text/html instead of JSON"),
        (cut, Unreachable, Cause.UNREACHABLE, "did not answer"),
    ],
)
async def test_an_odd_answer_is_told_by_its_status_code(
    tmp_path: Path, answer: Answer | Response, error: type[StepError], cause: Cause, said: str
) -> None:
    async with odd(tmp_path, answers={STATUS: answer}) as (_, repository):
        with pytest.raises(error, match=f"GET /repos/acme/shop/commits/{SHA}/status at http.*{said}") as raised:
            await look(repository)
    assert raised.value.cause is cause
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (lambda: "7", timedelta(seconds=7)),
        (lambda: "86400", timedelta(minutes=5)),
        (lambda: "soon", None),
        (lambda: format_datetime(datetime.now(UTC) - timedelta(hours=1)), timedelta(0)),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(hours=1)), timedelta(minutes=5)),
    ],
)
async def test_a_busy_forge_is_left_alone_as_long_as_it_asks(
    tmp_path: Path, asked: Callable[[], str], waits: timedelta | None
) -> None:
    busy = PlainTextResponse("busy", 503, headers={"Retry-After": asked()})
    async with odd(tmp_path, answers={STATUS: busy}) as (_, repository):
        with pytest.raises(Unreachable) as raised:
            await look(repository)
    assert raised.value.again == waits


async def test_a_body_of_null_or_of_another_shape_is_no_status(tmp_path: Path) -> None:
    bodies: list[Any] = [
        None,
        [],
        {"statuses": None},
        {"statuses": [None, 7]},
        {"state": "", "statuses": None, "sha": ""},
    ]
    for body in bodies:
        async with odd(tmp_path, answers={STATUS: json_of(body)}) as (_, repository):
            assert await repository.contexts(SHA) == []


async def test_a_token_that_the_forge_repeats_is_not_passed_on(tmp_path: Path) -> None:
    answer = JSONResponse({"message": f"{TOKEN} is\nno good"}, 403)
    async with odd(tmp_path, answers={STATUS: answer}) as (_, repository):
        with pytest.raises(Refused, match="••• is no good") as raised:
            await look(repository)
    assert TOKEN not in str(raised.value)


async def test_a_token_with_a_line_end_is_refused_without_being_quoted(tmp_path: Path) -> None:
    async with odd(tmp_path) as (made, _):
        with pytest.raises(Refused, match="blanks or line ends") as raised:
            async with asking(tmp_path, made.url, "one\ntwo"):
                pass
    assert "two" not in str(raised.value)


async def test_the_token_is_sent_with_the_word_that_every_forge_knows(tmp_path: Path) -> None:
    seen: list[str] = []

    def note(request: Request) -> Response:
        seen.append(request.headers["authorization"])
        return JSONResponse({})

    async with odd(tmp_path, answers={STATUS: note}) as (_, repository):
        await look(repository)
    assert seen == [f"token {TOKEN}"]


async def test_a_list_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    def more(request: Request) -> Response:
        page = int(request.query_params["page"])
        return JSONResponse({"statuses": [{"id": page, "context": f"c{page}", "status": "success"}]})

    async with odd(tmp_path, answers={STATUS: more}) as (made, repository):
        with pytest.raises(Refused, match="has more than 5000 entries"):
            await look(repository)
    assert made.count(STATUS) == 100


async def test_an_answer_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    async with odd(tmp_path, answers={STATUS: PlainTextResponse("x" * (17 * 1024 * 1024))}) as (_, repository):
        with pytest.raises(Refused, match="that is no answer of a forge"):
            await look(repository)


# ---- whom we talk to


@pytest.mark.parametrize(
    ("stated", "product"),
    [
        ("1.26.3", Product("Gitea", (1, 26))),
        ("1.24.0+dev-12-gabcdef", Product("Gitea", (1, 24))),
        ("15.0.3+gitea-1.22.0", Product("Forgejo", (15, 0))),
        ("11.0.0-dev-1-abc+gitea-1.22.0", Product("Forgejo", (11, 0))),
        ("development", Product("Gitea", (0, 0))),
    ],
)
def test_forgejos_own_version_is_not_taken_for_giteas(stated: str, product: Product) -> None:
    assert product_of(stated) == product


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("1.22.6", r"is Gitea 1\.22 .*upgrade it to Gitea 1\.23"),
        ("7.0.12+gitea-1.21.11", r"is Forgejo 7\.0 .*upgrade it to Forgejo 8\.0"),
    ],
)
async def test_a_forge_that_is_too_old_is_refused_with_what_to_do(tmp_path: Path, stated: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        async with odd(tmp_path, version=stated):
            pass


async def test_something_else_at_the_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"does not answer like Gitea or Forgejo: check forge\.url"):
        async with odd(tmp_path, version=""):
            pass


async def test_a_forge_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async with odd(tmp_path) as (made, _):
        pass
    with pytest.raises(Unreachable, match="GET /version at http"):
        async with asking(tmp_path, made.url):
            pass


# ---- the sandbox's forge


async def test_a_token_that_was_revoked_is_refused_everywhere(tmp_path: Path) -> None:
    async with bench(tmp_path) as held:
        with pytest.raises(Refused, match="is not valid") as raised:
            async with asking(tmp_path, held.url, "revoked") as repository:
                await repository.contexts(held.sha)
    assert raised.value.cause is Cause.CREDENTIALS


async def test_a_repository_that_is_hidden_from_the_token_may_be_absent(tmp_path: Path) -> None:
    async with bench(tmp_path) as held, asking(tmp_path, held.url, STRANGER.token) as repository:
        for wanted in (repository.contexts(held.sha), repository.runs(held.sha)):
            with pytest.raises(Refused, match="may not see it"):
                await wanted


async def test_a_token_without_the_scope_is_told_which(tmp_path: Path) -> None:
    async with bench(tmp_path) as held, asking(tmp_path, held.url, NARROW.token) as repository:
        held.forge.pipeline.settings = held.forge.pipeline.settings.model_copy(update={"mode": "never_starts"})
        await held.shop.push_tag("1.0.0", held.sha)
        with pytest.raises(Refused, match="needs the scope write:repository"):
            await repository.publish(Release("v1.0.0", "v1.0.0", "text", prerelease=False), held.sha)


async def test_the_product_is_asked_once_and_not_for_every_step(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as (held, repository):
        for _ in range(3):
            await repository.contexts(held.sha)
        assert held.faults.count("GET", "/api/v1/version") == 1


async def test_a_cut_connection_is_tried_again_by_the_step_and_not_before(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as (held, repository):
        held.faults.add(FaultRule(match=f"GET {REPO}/commits/*", kind="drop_before", times=1))
        with pytest.raises(Unreachable, match="did not answer"):
            await repository.contexts(held.sha)
        assert held.faults.count("GET", f"{REPO}/commits/*") == 1
        assert await repository.contexts(held.sha)


async def test_a_slow_forge_is_given_up_in_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as held, asking(tmp_path, held.url, wait=timedelta(seconds=0.2)) as repository:
        held.faults.add(FaultRule(match=f"GET {REPO}/commits/*", kind="delay", seconds=0.6))
        with pytest.raises(Unreachable, match="did not answer in time"):
            await repository.contexts(held.sha)
