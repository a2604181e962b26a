import time
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest

from activities.clients.engine_container import ContainerDetails
from activities.clients.engine_errors import Moved
from activities.clients.health import HttpProbe
from activities.errors import NotYet, Refused, Unreachable
from activities.health import HealthActivities
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable
from runbook.service import HealthToVerify
from runbook.trouble import Cause
from tests.activities.answering import Service, environment, service
from tests.activities.performing import perform

CONTAINER = "f" * 64
REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
)
IMAGE = Image(registry="registry.example.net", name="acme/shop", version="1.4.0", digest="sha256:" + "a" * 64)


class Container:
    """The engine of a host with one container, whose state a test changes; it counts the looks."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"Status": "running", "Running": True, "StartedAt": "2026-01-01T00:00:00Z"}
        self.restarts = 0
        self.looks = 0
        self.trouble: Exception | None = None
        self.looked: Callable[[Container], object] = lambda _: None

    async def engine(self, environment: EnvironmentTable, host: str) -> "Container":
        return self

    async def inspect(self, container: str) -> ContainerDetails:
        assert container == CONTAINER
        self.looks += 1
        self.looked(self)
        if self.trouble:
            raise self.trouble
        return ContainerDetails.model_validate(
            {
                "Id": CONTAINER,
                "Image": "sha256:1",
                "Config": {"Image": "x"},
                "RestartCount": self.restarts,
                "State": self.state,
            }
        )

    def exits(self, code: int, *, restarting: bool = False) -> None:
        self.state |= {"Status": "restarting" if restarting else "exited", "Running": restarting}
        self.state |= {"Restarting": restarting, "ExitCode": code}

    def starts(self, at: str) -> None:
        self.state |= {"Status": "running", "Running": True, "Restarting": False, "StartedAt": at}
        self.restarts += 1


@pytest.fixture
async def shop() -> AsyncGenerator[Service]:
    async with service() as running:
        yield running


@pytest.fixture
async def probe() -> AsyncGenerator[HttpProbe]:
    probe = HttpProbe(within=1)
    yield probe
    await probe.aclose()


@pytest.fixture
def container() -> Container:
    return Container()


@pytest.fixture
def group(probe: HttpProbe, container: Container) -> HealthActivities:
    return HealthActivities(probe, container, settled=0.5, pause=0.1)


def order(
    shop: Service, *, deadline: float = 10, container_id: str | None = CONTAINER, good: int = 3
) -> HealthToVerify:
    table = environment(shop.port, health_deadline=timedelta(seconds=deadline), good_answers=good)
    return HealthToVerify(ref=REF, environment=table, host="127.0.0.1", image=IMAGE, container_id=container_id)


async def test_a_healthy_host_needs_only_its_good_answers(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    found = await perform(group.health, order(shop))
    assert shop.asked == {"/health": 3, "/version": 3}
    assert container.looks == 3
    assert (found.host, found.answers) == ("127.0.0.1", 3)
    assert found.seconds < 10
    assert found.summary.startswith("healthy as v1.4.0 after ")
    assert found.evidence == [
        f'{shop.url}/health: 200 {{"status":"ok"}}',
        f'{shop.url}/version: 200 {{"version":"v1.4.0"}}',
    ]


async def test_what_was_put_back_is_verified_in_the_same_way(group: HealthActivities, shop: Service) -> None:
    assert (await perform(group.put_back_health, order(shop))).answers == 3


async def test_what_is_known_by_its_container_alone_must_be_well_in_whatever_version(
    group: HealthActivities, shop: Service
) -> None:
    shop.version, unknown = (200, "build 77"), {"image": None}
    assert (await perform(group.put_back_health, order(shop).model_copy(update=unknown))).summary.startswith(
        "healthy a"
    )
    shop.health = (503, "no database")
    with pytest.raises(Refused, match=r"127\.0\.0\.1 did not become healthy within 0\.5 s: .*/health says 503"):
        await perform(group.put_back_health, order(shop, deadline=0.5).model_copy(update=unknown))


async def test_a_service_that_comes_up_late_is_waited_for(group: HealthActivities, shop: Service) -> None:
    shop.health = (503, "starting")

    def comes_up(heard: Service) -> None:
        if heard.asked.get("/health", 0) > 4:
            heard.status("UP")

    shop.hears = comes_up
    found = await perform(group.health, order(shop))
    assert shop.asked["/health"] == 7
    assert found.answers == 3


async def test_the_good_answers_must_come_in_a_row(group: HealthActivities, shop: Service) -> None:
    def stumbles(heard: Service) -> None:
        heard.health = (500, "oops") if heard.asked.get("/health") == 3 else (200, "ok")

    shop.hears = stumbles
    await perform(group.health, order(shop))
    assert shop.asked["/health"] == 6


async def test_an_unhealthy_service_is_given_up_at_the_deadline_with_what_it_said(
    group: HealthActivities, shop: Service
) -> None:
    shop.health = (503, "no database")
    before = time.monotonic()
    with pytest.raises(Refused) as caught:
        await perform(group.health, order(shop, deadline=0.5))
    assert 0.5 <= time.monotonic() - before < 30
    assert caught.value.cause is Cause.UNHEALTHY
    assert str(caught.value) == (
        "127.0.0.1 did not become healthy as v1.4.0 within 0.5 s: "
        f"{shop.url}/health says 503 no database, not that it is healthy"
    )
    assert any(line.endswith(f"s: {shop.url}/health: 503 no database") for line in caught.value.evidence)
    assert len(caught.value.evidence) == len({line.split(": ", 1)[1] for line in caught.value.evidence})


async def test_a_silent_service_is_unhealthy(group: HealthActivities, shop: Service) -> None:
    silent = order(shop, deadline=0.3)
    silent = silent.model_copy(update={"environment": environment(1, health_deadline=timedelta(seconds=0.3))})
    with pytest.raises(Refused, match=r"no answer from http://127\.0\.0\.1:1/health") as caught:
        await perform(group.health, silent)
    assert caught.value.cause is Cause.UNHEALTHY


@pytest.mark.parametrize("said", ['{"version": "v1.3.0"}', "1.4.0-rc.1", "1.4", "<html>", ""])
async def test_another_version_is_not_accepted_however_healthy(
    group: HealthActivities, shop: Service, said: str
) -> None:
    shop.version = (200, said)
    with pytest.raises(Refused, match=r"not v1\.4\.0") as caught:
        await perform(group.health, order(shop, deadline=0.3))
    assert caught.value.cause is Cause.WRONG_VERSION


async def test_a_container_that_restarted_meanwhile_starts_the_count_anew_and_must_settle(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.looked = lambda it: it.starts("2026-01-01T00:00:09Z") if it.looks == 2 else None
    found = await perform(group.health, order(shop))
    assert found.seconds >= 0.5
    assert container.looks > 4


async def test_a_container_in_a_loop_of_short_lives_never_becomes_healthy(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    """Its service answers well whenever it is asked."""
    container.looked = lambda it: it.starts(f"start {it.looks}") if it.looks % 2 == 0 else None
    with pytest.raises(Refused, match=r"container ffffffffffff on 127\.0\.0\.1 .*restart") as caught:
        await perform(group.health, order(shop, deadline=1, good=2))
    assert caught.value.cause is Cause.CONTAINER_EXITED


async def test_a_container_between_two_lives_is_waited_for_until_the_deadline(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.exits(137, restarting=True)
    with pytest.raises(Refused, match=r"is restarting, its last exit code was 137") as caught:
        await perform(group.health, order(shop, deadline=0.8))
    assert caught.value.cause is Cause.CONTAINER_EXITED
    assert "within 0.8 s" in str(caught.value)


async def test_a_container_that_nothing_will_start_again_is_not_waited_for(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.exits(1)
    before = time.monotonic()
    with pytest.raises(Refused, match="is exited, its last exit code was 1") as caught:
        await perform(group.health, order(shop, deadline=60))
    assert 0.1 <= time.monotonic() - before < 10
    assert caught.value.cause is Cause.CONTAINER_EXITED
    assert "nothing will start it again" in str(caught.value)


async def test_a_container_that_is_gone_is_not_waited_for(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.trouble = Moved("127.0.0.1 has changed meanwhile")
    with pytest.raises(Refused, match=r"container ffffffffffff on 127\.0\.0\.1 is gone") as caught:
        await perform(group.health, order(shop, deadline=60))
    assert caught.value.cause is Cause.CONTAINER_EXITED


async def test_an_engine_that_does_not_answer_for_a_moment_does_not_fail_the_release(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    def recovers(it: Container) -> None:
        it.trouble = Unreachable("no SSH") if it.looks < 3 else None

    container.looked = recovers
    await perform(group.health, order(shop))
    assert container.looks == 5


async def test_a_container_that_is_never_seen_is_not_taken_for_steady(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.trouble = Unreachable("no SSH")
    with pytest.raises(Refused, match="can't be looked at: no SSH"):
        await perform(group.health, order(shop, deadline=0.3))


async def test_a_host_that_refuses_us_ends_the_waiting(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    container.trouble = Refused("host key changed", cause=Cause.CREDENTIALS)
    with pytest.raises(Refused, match="host key changed"):
        await perform(group.health, order(shop, deadline=60))


async def test_without_a_container_only_the_service_is_asked(
    group: HealthActivities, shop: Service, container: Container
) -> None:
    await perform(group.health, order(shop, container_id=None))
    assert container.looks == 0


async def test_the_deadline_goes_on_after_the_death_of_a_worker(group: HealthActivities, shop: Service) -> None:
    shop.health = (503, "starting")
    before = time.monotonic()
    with pytest.raises(Refused, match="within 1 min") as caught:
        await perform(group.health, order(shop, deadline=60), told={"started": time.time() - 59.1})
    assert time.monotonic() - before < 30
    assert caught.value.evidence[0].startswith("after 59.")


async def test_a_successor_that_comes_after_the_deadline_still_looks(group: HealthActivities, shop: Service) -> None:
    """The service became healthy while no worker was there: that is no reason to roll back."""
    told = {"started": time.time() - 600}
    assert (await perform(group.health, order(shop, deadline=60), told=told)).answers == 3


@pytest.mark.parametrize("told", [{"started": 4e12}, {"started": "then"}, {}, "text", ["list"]])
async def test_what_was_told_wrongly_starts_the_deadline_now(group: HealthActivities, shop: Service, told: Any) -> None:
    assert (await perform(group.health, order(shop), told=told)).seconds < 30


async def test_the_start_is_in_the_first_heartbeat(group: HealthActivities, shop: Service) -> None:
    beats: list[Any] = []
    before = time.time()
    await perform(group.health, order(shop), beats=lambda *details: beats.append(details))
    assert before <= beats[0][0]["started"] <= time.time()


async def test_a_worker_that_is_to_end_hands_the_deadline_over_at_once(group: HealthActivities, shop: Service) -> None:
    shop.health = (503, "starting")
    beats: list[Any] = []
    with pytest.raises(NotYet):
        await perform(group.health, order(shop, deadline=60), beats=lambda *told: beats.append(told), stopped_after=0.3)
    assert time.time() - 10 < beats[-1][0]["started"] < time.time()
