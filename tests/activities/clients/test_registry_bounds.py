"""A registry that answers too much, too slowly or too often the same: what is given up, and what is asked again when."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from activities.clients.registry import Registry
from activities.errors import Refused, Unreachable
from tests.activities.clients.registries import OCI_MANIFEST, artifact, says, token_registry

CHUNKS = 64
"""Of 1 MiB: what would be read by whoever knows no limit, and no more, lest the test fill the machine."""
Answer = Callable[[Request], Response]


class Flood:
    """An answer far larger than any manifest; `sent` are the chunks that somebody took."""

    def __init__(self) -> None:
        self.sent = 0

    def answer(self, _: Request) -> Response:
        return StreamingResponse(self._chunks(), media_type=OCI_MANIFEST)

    async def _chunks(self) -> AsyncGenerator[bytes]:
        for _ in range(CHUNKS):
            yield bytes(1024 * 1024)
            self.sent += 1


def dripping(_: Request) -> Response:
    async def drops() -> AsyncGenerator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(drops(), media_type=OCI_MANIFEST)


def as_manifest(answer: Answer) -> Answer:
    return answer


def as_challenge(answer: Answer) -> Answer:
    """The body of the 401 that asks for a login."""

    def asked(request: Request) -> Response:
        made = answer(request)
        made.status_code = 401
        made.headers["WWW-Authenticate"] = 'Basic realm="here"'
        return made

    return asked


def as_redirect(answer: Answer) -> Answer:
    def moved(request: Request) -> Response:
        made = answer(request)
        made.status_code = 307
        made.headers["Location"] = "/elsewhere"
        return made

    return moved


PLACES = [as_manifest, as_challenge, as_redirect, token_registry]


@pytest.mark.parametrize("place", PLACES)
async def test_an_answer_without_end_is_not_read_without_end(
    registry: Registry, start: Any, right: str, place: Callable[[Answer], Answer]
) -> None:
    flood = Flood()
    address = await start(says(place(flood.answer)))
    with pytest.raises(Refused, match=f"{address}/.* answered with more than 4194304 bytes"):
        await registry.digest(artifact(address, user="release-bot", password=right), "v1.0.0")
    assert flood.sent < CHUNKS / 2


@pytest.mark.parametrize("place", PLACES)
async def test_an_answer_that_only_drips_is_given_up(
    http: httpx.AsyncClient, start: Any, right: str, place: Callable[[Answer], Answer]
) -> None:
    address = await start(says(place(dripping)))
    hasty = Registry(http, within=timedelta(seconds=0.5))
    async with asyncio.timeout(5):
        with pytest.raises(Unreachable, match=f"registry {address} did not answer .*0.5 s"):
            await hasty.digest(artifact(address, user="release-bot", password=right), "v1.0.0")


async def test_redirects_without_end_are_not_followed_without_end(registry: Registry, start: Any) -> None:
    asked: list[str] = []

    def round_and_round(request: Request) -> Response:
        asked.append(request.url.path)
        return RedirectResponse(request.url.path)

    address = await start(says(round_and_round))
    with pytest.raises(Unreachable, match=f"registry {address} did not answer .*redirects"):
        await registry.digest(artifact(address), "v1.0.0")
    assert len(asked) < 10


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("place", [as_manifest, token_registry])
async def test_a_busy_registry_is_left_alone_as_long_as_it_asks(
    registry: Registry, start: Any, right: str, place: Callable[[Answer], Answer], status: int
) -> None:
    busy = Response("slow down", status, headers={"Retry-After": "7"})
    address = await start(says(place(lambda _: busy)))
    with pytest.raises(Unreachable, match=f"answered {status}") as error:
        await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    assert error.value.again == timedelta(seconds=7)


@pytest.mark.parametrize("token", ["SECRET\n", "SEC RET", "SECRET\0", "SECRÉT"])
async def test_a_token_that_no_header_can_carry_is_refused_and_never_said(
    registry: Registry, start: Any, right: str, token: str
) -> None:
    address = await start(says(token_registry(lambda _: JSONResponse({"token": token}))))
    with pytest.raises(Refused, match=f"token server http://{address}/token gave a token") as error:
        await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    assert "SEC" not in f"{error.value} {error.value.evidence}"


async def test_a_realm_with_a_login_of_its_own_gets_ours(registry: Registry, start: Any, right: str) -> None:
    seen: list[str] = []

    def asked(request: Request) -> Response:
        if request.url.path == "/token":
            seen.append(request.headers["authorization"])
            return JSONResponse({}, 503)
        realm = f'Bearer realm="http://other:OTHERS@{request.url.netloc}/token"'
        return Response(status_code=401, headers={"WWW-Authenticate": realm})

    address = await start(says(asked))
    with pytest.raises(Unreachable) as error:
        await registry.prove(artifact(address, user="release-bot", password=right), "v1.0.0")
    expected = httpx.BasicAuth("release-bot", "sesame")
    assert seen == [next(expected.auth_flow(httpx.Request("GET", "http://r"))).headers["authorization"]]
    assert "OTHERS" not in str(error.value)


async def test_a_realm_that_is_no_address_is_unreachable(registry: Registry, start: Any) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="http://[::1"'}
    address = await start(says(lambda _: Response(status_code=401, headers=challenge)))
    with pytest.raises(Unreachable, match=f"registry {address} did not answer"):
        await registry.prove(artifact(address), "v1.0.0")


async def test_a_manifest_that_comes_compressed_has_the_digest_of_what_it_says(registry: Registry, start: Any) -> None:
    manifest = json.dumps({"schemaVersion": 2}).encode()
    headers = {"Content-Encoding": "gzip"}
    address = await start(says(lambda _: Response(gzip.compress(manifest), media_type=OCI_MANIFEST, headers=headers)))
    assert await registry.digest(artifact(address), "v1.0.0") == "sha256:" + hashlib.sha256(manifest).hexdigest()
