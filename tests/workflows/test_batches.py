"""In which order production changes, and what surrounds each change."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from runbook import names, steps
from runbook.status import Outcome
from runbook.trouble import Cause
from tests.projects import DIGEST, OLD_DIGEST, project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import failing

HOSTS = [f"production-{number}" for number in (1, 2, 3)]


def production(lane: LaneOfTests, **keys: Any) -> None:
    """Give the lane's project a production of its own."""
    lane.crew.project = project(production=keys)
    lane.crew.fleet = dict.fromkeys(lane.crew.project.production.hosts, OLD_DIGEST)


def put_back(lane: LaneOfTests) -> set[str]:
    return {done.host for done in lane.crew.of(steps.PUT_BACK)}


async def test_hosts_change_one_after_the_other_each_healthy_before_the_next(lane: LaneOfTests) -> None:
    await lane.result(await lane.approved())
    happened = [line for line in lane.crew.happened if line.split()[1].startswith(("swap/", "health/"))]
    assert happened == [
        f"{what} {step}/{host}" for host in HOSTS for step in ("swap", "health") for what in ("began", "ended")
    ]


async def test_every_way_back_is_recorded_and_every_host_has_the_image_before_the_first_change(
    lane: LaneOfTests,
) -> None:
    await lane.result(await lane.approved())
    first_swap = lane.crew.happened.index("began swap/production-1")
    before = set(lane.crew.happened[:first_swap])
    assert before.issuperset(f"ended {step}/{host}" for step in ("pull", "way-back") for host in HOSTS)
    for done in lane.crew.of(steps.SWAP):
        assert (done.order.way_back.host, done.order.way_back.digest) == (done.host, OLD_DIGEST)
    for done in lane.crew.of(steps.HEALTH):
        assert done.order.container_id == f"new-{done.host}"


async def test_the_canary_goes_alone_then_batches_side_by_side(lane: LaneOfTests) -> None:
    hosts = [f"production-{number}" for number in range(1, 6)]
    production(lane, hosts=hosts, batch_size=2)
    holds = {host: lane.crew.hold(steps.SWAP, host) for host in hosts}
    handle = await lane.approved()
    for batch in (hosts[:1], hosts[1:3], hosts[3:]):
        async with asyncio.timeout(10):
            for host in batch:
                await holds[host].reached.wait()
        await lane.sleep(0.3)
        begun = [done.host for done in lane.crew.of(steps.SWAP)]
        assert set(begun[-len(batch) :]) == set(batch)
        assert len(begun) == hosts.index(batch[-1]) + 1
        for host in batch:
            holds[host].let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.RELEASED


async def test_it_pauses_between_batches_but_not_before_the_first_or_after_the_last(lane: LaneOfTests) -> None:
    production(lane, pause="30m", soak={"lasts": "0s"})
    handle = await lane.approved()
    await lane.result(handle)
    first, second, third = (done.at for done in lane.crew.of(steps.SWAP))
    for before, after in ((first, second), (second, third)):
        assert timedelta(minutes=30) <= after - before < timedelta(minutes=30, seconds=20)
    [pulled, *_] = lane.crew.of(steps.PULL)
    assert first - pulled.at < timedelta(minutes=1)
    [recorded] = lane.crew.of(steps.RECORD)
    assert recorded.at - third < timedelta(minutes=1)


@pytest.mark.parametrize("how", ["roll_back", "cancel"])
async def test_it_can_be_stopped_in_the_pause_between_batches(lane: LaneOfTests, how: str) -> None:
    production(lane, pause="1h")
    handle = await lane.approved()
    await lane.until(handle, lambda status: lane.crew.count(steps.HEALTH) == 1)
    await lane.sleep(600)
    await (handle.cancel() if how == "cancel" else handle.signal(how, {"by": "bob"}))
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert [done.host for done in lane.crew.of(steps.SWAP)] == ["production-1"]
    assert put_back(lane) == {"production-1"}


async def test_in_a_batch_the_neighbour_of_an_unhealthy_host_is_heard_out_and_returned_too(lane: LaneOfTests) -> None:
    production(lane, batch_size=2)
    neighbour = lane.crew.hold(steps.SWAP, "production-3", stubborn=True)
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY), "production-2")
    handle = await lane.approved()
    await neighbour.reached.wait()
    async with asyncio.timeout(10):
        while not neighbour.cancelled:
            await asyncio.sleep(0.02)
    assert put_back(lane) == set()
    neighbour.let_go.set()
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert put_back(lane) == set(HOSTS)
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}


async def test_the_soak_watches_all_hosts_by_the_projects_figures(lane: LaneOfTests) -> None:
    production(lane, soak={"lasts": "20d", "every": "30s", "failures": 5, "within": "10m"})
    handle = await lane.approved()
    await lane.result(handle)
    [soak] = lane.crew.of(steps.SOAK)
    table = soak.order.soak
    assert (table.lasts, table.every) == (timedelta(days=20), timedelta(seconds=30))
    assert (table.failures, table.within) == (5, timedelta(minutes=10))
    assert soak.order.hosts == HOSTS
    assert {done.order.image.digest for done in lane.crew.of(steps.SOAK)} == {DIGEST}
    [limit] = [
        event.activity_task_scheduled_event_attributes.start_to_close_timeout.ToTimedelta()
        for event in await lane.events(handle)
        if event.activity_task_scheduled_event_attributes.activity_type.name == "soak"
    ]
    assert limit > timedelta(days=20), "the step's own limit is shorter than what the project wants"


async def test_a_record_whose_answer_was_lost_asks_and_is_there_once(lane: LaneOfTests) -> None:
    lane.crew.at(steps.RECORD, failing(Cause.UNREACHABLE, "the answer was lost", times=1), after=True)
    handle = await lane.approved()
    await lane.in_need(handle)
    assert put_back(lane) == set()
    await handle.signal(names.RETRY, {"by": "alice"})
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert lane.crew.effects[steps.RECORD.name] == 1
