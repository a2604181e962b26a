import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from activities.clients.health import Answer, HttpProbe
from activities.errors import NotYet, Refused
from activities.soak import SoakActivities
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.service import SoakToWatch
from runbook.soak_table import SoakTable
from runbook.trouble import Cause
from tests.activities.answering import Service, environment, service
from tests.activities.performing import perform

HOSTS = ["127.0.0.1", "127.0.0.2"]
REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
)
IMAGE = Image(registry="registry.example.net", name="acme/shop", version="1.4.0", digest="sha256:" + "a" * 64)


class Production:
    """Two hosts, each a real service; the hosts' names stand for their ports."""

    def __init__(self, first: Service, second: Service, probe: HttpProbe) -> None:
        self.first, self.second = first, second
        self._probe = probe

    async def look(self, url: str) -> Answer:
        port = self.first.port if HOSTS[0] in url else self.second.port
        return await self._probe.look(f"http://127.0.0.1:{port}/{url.rpartition('/')[2]}")


@pytest.fixture
async def production() -> AsyncGenerator[Production]:
    async with contextlib.AsyncExitStack() as stack:
        probe = HttpProbe(within=1)
        stack.push_async_callback(probe.aclose)
        first, second = [await stack.enter_async_context(service()) for _ in range(2)]
        yield Production(first, second, probe)


def order(**soak: float) -> SoakToWatch:
    table: dict[str, Any] = {"lasts": 0.4, "every": 0.05, "failures": 3, "within": 60} | soak
    return SoakToWatch(
        ref=REF,
        environment=environment(1, hosts=HOSTS),
        soak=SoakTable.model_validate(table),
        image=IMAGE,
        hosts=HOSTS,
    )


async def soak(production: Production, wanted: SoakToWatch, **more: Any) -> Any:
    return await perform(SoakActivities(production).soak, wanted, **more)


async def test_a_steady_production_is_watched_for_the_whole_time(production: Production) -> None:
    before = time.monotonic()
    found = await soak(production, order())
    assert 0.4 <= time.monotonic() - before < 30
    assert found.failures == 0
    assert 3 <= found.looks <= 10
    assert production.first.asked["/health"] == production.second.asked["/version"] == found.looks
    assert found.summary == f"2 hosts watched for 0.4 s: {found.looks} looks, 0 failures"


async def test_fewer_failures_than_the_limit_are_borne_and_counted(production: Production) -> None:
    def stumbles(heard: Service) -> None:
        heard.health = (500, "oops") if heard.asked.get("/health") in {2, 4} else (200, "ok")

    production.second.hears = stumbles
    found = await soak(production, order())
    assert found.failures == 2


async def test_a_lasting_failure_of_one_host_ends_the_soak_and_names_it(production: Production) -> None:
    production.second.health = (503, "no database")
    with pytest.raises(Refused) as caught:
        await soak(production, order(lasts=60))
    assert caught.value.cause is Cause.UNHEALTHY
    assert str(caught.value).startswith("127.0.0.2 failed 3 times within 1 min, 0 s into the soak; at last: ")
    assert "says 503 no database" in str(caught.value)
    assert len(caught.value.evidence) == 3
    assert production.second.asked["/health"] == 3


async def test_another_version_is_a_failure(production: Production) -> None:
    production.first.says("v1.3.0")
    with pytest.raises(Refused, match=r"not v1\.4\.0"):
        await soak(production, order(lasts=60))


async def test_failures_of_different_hosts_are_not_added_up(production: Production) -> None:
    production.first.hears = lambda heard: setattr(heard, "health", (500 if heard.asked["/health"] < 3 else 200, ""))
    production.second.hears = lambda heard: setattr(heard, "health", (500 if heard.asked["/health"] < 3 else 200, ""))
    assert (await soak(production, order())).failures == 4


async def test_failures_too_far_apart_are_borne(production: Production) -> None:
    production.first.hears = lambda heard: setattr(heard, "health", (200 if heard.asked["/health"] % 3 else 500, ""))
    found = await soak(production, order(lasts=4, every=0.4, failures=2, within=0.6))
    assert found.failures == found.looks // 3 >= 2


async def test_a_host_that_fails_to_the_end_is_not_well_however_far_apart_the_looks_are(
    production: Production,
) -> None:
    """A plan from before such figures were refused, or looks that take much longer than usual."""
    production.first.hears = lambda heard: setattr(heard, "health", (500 if heard.asked["/health"] > 1 else 200, ""))
    with pytest.raises(Refused) as caught:
        await soak(production, order(lasts=3, every=1, within=0.5))
    assert caught.value.cause is Cause.UNHEALTHY
    assert str(caught.value).startswith("127.0.0.1 failed the last 3 looks of a soak of 3 s; at last: ")
    assert production.first.asked["/health"] == 4


async def test_a_soak_too_short_for_the_failures_fails_when_every_look_did(production: Production) -> None:
    production.second.health = (503, "no database")
    with pytest.raises(
        Refused, match=r"127\.0\.0\.2 failed the last 2 looks of a soak of 0\.1 s; at last: .*no database"
    ):
        await soak(production, order(lasts=0.1, every=0.1))


async def test_a_host_that_came_back_is_well(production: Production) -> None:
    production.first.hears = lambda heard: setattr(heard, "health", (500 if heard.asked["/health"] < 4 else 200, ""))
    found = await soak(production, order(lasts=1.5, every=0.5, within=0.4))
    assert found.failures == 3


async def test_the_next_worker_knows_how_long_a_host_has_been_failing(production: Production) -> None:
    production.first.health = (500, "")
    told = {"watched": 60.0, "looks": 9, "failures": 2, "recent": {}, "failing": {"127.0.0.1": 2}}
    with pytest.raises(Refused, match="failed the last 3 looks"):
        await soak(production, order(lasts=60), told=told)
    assert (await soak(production, order(lasts=60), told={**told, "failing": {}})).failures == 3


async def test_the_next_worker_goes_on_with_the_failures_and_the_time_of_the_last(production: Production) -> None:
    production.first.health = (500, "")
    told = {"watched": 30.0, "looks": 6, "failures": 2, "recent": {"127.0.0.1": [[time.time() - 5, "says 500"]] * 2}}
    with pytest.raises(Refused, match="30 s into the soak"):
        await soak(production, order(lasts=60), told=told)
    assert production.first.asked["/health"] == 1


async def test_the_next_worker_watches_only_what_is_left(production: Production) -> None:
    told = {"watched": 59.8, "looks": 6, "failures": 1, "recent": {}}
    before = time.monotonic()
    found = await soak(production, order(lasts=60), told=told)
    assert time.monotonic() - before < 30
    assert (found.looks > 7, found.failures) == (True, 1)


async def test_time_without_a_worker_was_not_watched(production: Production) -> None:
    """The failures of long ago are too old by then, but the soak is as long as ordered."""
    told = {"watched": 0.1, "looks": 1, "failures": 2, "recent": {"127.0.0.1": [[time.time() - 600, "says 500"]] * 2}}
    production.first.health = (500, "")
    before = time.monotonic()
    with pytest.raises(Refused):
        await soak(production, order(lasts=0.5), told=told)
    assert production.first.asked["/health"] == 3
    assert time.monotonic() - before < 30


async def test_what_was_seen_is_handed_on_in_the_heartbeats(production: Production) -> None:
    beats: list[Any] = []
    production.first.health = (500, "down")
    with pytest.raises(Refused):
        await soak(production, order(lasts=1.0, failures=100, every=0.1), beats=lambda *details: beats.append(details))
    last = beats[-1][0]
    assert last["watched"] > 0.5
    assert last["looks"] == last["failures"] >= 5
    assert list(last["recent"]) == ["127.0.0.1"]
    assert last["failing"] == {"127.0.0.1": last["looks"]}
    assert "says 500 down" in last["recent"]["127.0.0.1"][0][1]


async def test_a_worker_that_is_to_end_hands_the_rest_over_at_once(production: Production) -> None:
    beats: list[Any] = []
    before = time.monotonic()
    with pytest.raises(NotYet):
        await soak(
            production,
            order(lasts=60, every=0.2),
            beats=lambda *details: beats.append(details),
            stopped_after=1,
        )
    assert time.monotonic() - before < 30
    told = beats[-1][0]
    assert 0.5 < told["watched"] < 30
    found = await soak(production, order(lasts=told["watched"] + 0.3, every=0.1), told=told)
    assert found.looks > told["looks"]


async def test_no_soak_asked_for_is_one_look(production: Production) -> None:
    assert (await soak(production, order(lasts=0))).looks == 1
