"""A rollback that somebody starts by hand: names a version at most, and is as hard to stop as any."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.status import Outcome, RollbackResult, State
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import Crew, away_for, failing

HOSTS = [f"production-{number}" for number in (1, 2, 3)]


async def returned(handle: Handle) -> RollbackResult:
    return RollbackResult.model_validate(await handle.result())


async def test_it_is_told_watched_kept_and_has_its_postmortem(lane: LaneOfTests) -> None:
    handle = await lane.start_rollback(to_version="1.2.0")
    result = await returned(handle)
    assert (result.outcome, result.version, result.hosts) == (Outcome.ROLLED_BACK, "1.2.0", HOSTS)
    assert result.postmortem == "https://git.example.net/issues/9"
    for host in HOSTS:
        [swap], [health] = lane.crew.of(steps.RETURN, host), lane.crew.of(steps.PUT_BACK_HEALTH, host)
        assert swap.order.image.reference == f"registry.example.net/acme/shop:v1.2.0@{OLD_DIGEST}"
        assert (health.order.image.version, health.order.container_id) == ("1.2.0", f"new-{host}")
    status = await lane.status(handle)
    assert (status.kind, status.version, status.tag, status.digest) == ("rollback", "1.2.0", "v1.2.0", OLD_DIGEST)
    assert [row.key for row in status.rows if row.state is not State.DONE] == []
    [postmortem] = lane.crew.of(steps.POSTMORTEM)
    assert postmortem.order.reason == "checkout fails"
    assert lane.crew.told("shop 1.2.0: rolled back")


async def test_it_may_take_the_service_away_for_longer_than_a_release_may(idle_lane: LaneOfTests) -> None:
    """A swap that worked and took long must not be refused while what is left is worse."""
    idle_lane.crew = Crew(project(production={"max_downtime": "2s"}))
    async with idle_lane.working():
        await returned(await idle_lane.start_rollback())
    assert {done.order.max_downtime for done in idle_lane.crew.of(steps.RETURN)} == {None}


async def test_an_abort_while_an_attempt_fails_gives_it_up(lane: LaneOfTests) -> None:
    """A host that is dead for good: whoever gives it up must not be called for it again."""
    lane.crew.at(steps.RETURN, failing(Cause.UNREACHABLE, "no route to host"), HOSTS[0], after=True)
    hold = lane.crew.hold(steps.RETURN, HOSTS[0], stubborn=True)
    handle = await lane.start_rollback()
    await lane.until(handle, lambda _: hold.reached.is_set())
    await lane.decide(handle, {"decision": "abort", "by": "bob", "reason": "that host is scrapped"})
    await lane.until(handle, lambda _: hold.cancelled)
    hold.let_go.set()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await lane.status(handle)).summary == "aborted by bob: that host is scrapped"


async def test_its_rows_in_the_ledger_name_the_version_it_went_to(lane: LaneOfTests) -> None:
    """What is good is read off the ledger: the version of the outcome is where production stands now."""
    await returned(await lane.start_rollback())
    entries = list(lane.crew.entries.values())
    assert [(entry.actor, entry.action, entry.outcome) for entry in entries] == [
        ("bob", "rollback", "ordered"),
        ("worker", "outcome", "rolled_back"),
    ]
    assert {(entry.version, entry.digest) for entry in entries} == {("1.3.0", OLD_DIGEST)}
    assert {done.order.ref.version for done in lane.crew.of(steps.RETURN)} == {"1.3.0"}


async def test_it_waits_for_no_ledger_before_it_returns_a_host(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.LEDGER)
    handle = await lane.start_rollback()
    await lane.until(handle, lambda status: lane.crew.count(steps.PUT_BACK_HEALTH) == 3)
    assert hold.reached.is_set()
    hold.let_go.set()
    assert (await returned(handle)).outcome is Outcome.ROLLED_BACK


async def test_a_host_that_is_away_is_retried_and_told_of(lane: LaneOfTests) -> None:
    lane.crew.at(steps.RETURN, away_for(timedelta(hours=2)), "production-1")
    handle = await lane.start_rollback()
    assert (await returned(handle)).outcome is Outcome.ROLLED_BACK
    assert len(lane.crew.told("production-1 still to be put back")) == 2


async def test_a_refused_return_waits_without_end(lane: LaneOfTests) -> None:
    lane.crew.at(steps.RETURN, failing(Cause.DIGEST_UNKNOWN, "nobody knows that image", times=1), "production-2")
    handle = await lane.start_rollback()
    [need] = (await lane.in_need(handle)).needs
    assert (need.host, need.until) == ("production-2", None)
    assert need.hint.startswith("Image digest mismatch")
    await lane.pass_until(need.since + timedelta(days=3))
    await handle.signal(names.RETRY, {"by": "alice", "step": "return/production-2"})
    assert (await returned(handle)).outcome is Outcome.ROLLED_BACK


async def test_only_abort_gives_it_up(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.RETURN, "production-3", stubborn=True)
    handle = await lane.start_rollback()
    await hold.reached.wait()
    for _ in range(3):
        await handle.cancel()
    await lane.until_ended(handle, steps.RECORD_HOST, times=2)
    assert not hold.cancelled
    assert (await lane.decide(handle, {"decision": "abort", "by": "bob", "reason": "scrap"})).accepted
    async with asyncio.timeout(10):
        while not hold.cancelled:
            await asyncio.sleep(0.02)
    hold.let_go.set()
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert (failed.value.cause.type, failed.value.cause.message) == ("RollbackGivenUp", "aborted by bob: scrap")
    [outcome] = lane.crew.kept("outcome")
    assert outcome.outcome == "aborted"
    assert not lane.crew.count(steps.POSTMORTEM)


@pytest.mark.parametrize("when", ["before its first task", "while it is planned"])
async def test_a_cancel_before_it_began_changes_nothing(idle_lane: LaneOfTests, when: str) -> None:
    lane = idle_lane
    hold = lane.crew.hold(steps.PLAN_ROLLBACK)
    handle = await lane.start_rollback()
    if when == "before its first task":
        await handle.cancel()
    async with lane.working():
        await hold.reached.wait()
        await handle.cancel()
        await lane.sleep(0.5)
        hold.let_go.set()
        assert (await returned(handle)).outcome is Outcome.ROLLED_BACK
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}
