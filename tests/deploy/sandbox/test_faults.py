from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.faults import FaultMiddleware, FaultRule, Faults
from deploy.sandbox.serving import PLAIN, Served, serving


class Counter:
    """A server with an effect, so that a lost answer can be told from a lost request."""

    def __init__(self) -> None:
        self.effects = 0
        self.faults = Faults()
        routes = [Route("/things/{name}", self.make, methods=["POST"])]
        self.app = Starlette(routes=routes, middleware=[Middleware(FaultMiddleware, faults=self.faults)])

    async def make(self, _: Request) -> Response:
        self.effects += 1
        return JSONResponse({}, 201)


@pytest.fixture
async def counter() -> AsyncIterator[tuple[Counter, Served, httpx.AsyncClient]]:
    counter = Counter()
    async with (
        serving(counter.app) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False, verify=PLAIN) as client,
    ):
        yield counter, served, client


Setup = tuple[Counter, Served, httpx.AsyncClient]


async def test_drop_before_cuts_the_connection_without_an_effect(counter: Setup) -> None:
    server, _, client = counter
    server.faults.add(FaultRule(match="POST /things/*", kind="drop_before", times=1))

    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/things/a")

    assert server.effects == 0
    assert (await client.post("/things/a")).status_code == 201


async def test_drop_after_cuts_the_connection_when_the_effect_is_there(counter: Setup) -> None:
    server, _, client = counter
    server.faults.add(FaultRule(match="POST /things/*", kind="drop_after", times=1))

    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/things/a")

    assert server.effects == 1


async def test_a_status_fault_spends_its_times_and_leaves_other_paths_alone(counter: Setup) -> None:
    server, _, client = counter
    server.faults.add(FaultRule(match="POST /things/a", kind="status", status=503, times=2))

    statuses = [(await client.post(f"/things/{name}")).status_code for name in "abaa"]

    assert statuses == [503, 201, 503, 201]
    assert server.effects == 2


async def test_a_delay_answers_late_but_as_usual(counter: Setup) -> None:
    server, _, client = counter
    server.faults.add(FaultRule(match="* /things/*", kind="delay", seconds=0.2))

    answer = await client.post("/things/a")

    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() >= 0.2


async def test_faults_are_set_listed_and_cleared_over_http_and_requests_are_counted(counter: Setup) -> None:
    server, _, client = counter
    rule = {"match": "POST /things/*", "kind": "status", "status": 500}

    listed = (await client.post("/-/faults", json=rule)).json()
    await client.post("/things/a")
    cleared = (await client.delete("/-/faults")).json()
    await client.post("/things/b")

    assert listed == [{**rule, "seconds": 0.0, "times": None}]
    assert cleared == []
    assert (await client.get("/-/requests")).json() == [
        {"method": "POST", "path": "/things/a", "status": 500},
        {"method": "POST", "path": "/things/b", "status": 201},
    ]
    assert server.faults.count("POST", "/things/*") == 2


@pytest.mark.parametrize("rule", [{"match": "things"}, {"kind": "explode"}, {"times": 0}, {"colour": "red"}])
async def test_a_rule_of_the_wrong_shape_is_refused(counter: Setup, rule: dict[str, object]) -> None:
    server, _, client = counter
    whole = {"match": "GET /", "kind": "status", **rule}

    assert (await client.post("/-/faults", json=whole)).status_code == 422
    assert server.faults.rules == []
    with pytest.raises(ValidationError):
        FaultRule.model_validate(whole)
