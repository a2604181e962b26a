"""What a release hands to the rollback that it starts, and what becomes of both."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runbook import names, steps
from runbook.record import FailedRelease
from runbook.service import WayBack
from runbook.status import Outcome, RollbackResult, State
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST, project
from tests.workflows.conftest import ROLLBACK_OF_SHOP, Handle, LaneOfTests
from tests.workflows.crew import Crew, answering, away_for, failing

HOSTS = [f"production-{number}" for number in (1, 2, 3)]
HOUR = timedelta(hours=1)


async def broken(lane: LaneOfTests) -> Handle:
    """A release to three hosts whose soak is broken, so that all three are to be returned."""
    lane.crew.at(steps.SOAK, failing(Cause.UNHEALTHY, "checkout fails"))
    return await lane.approved()


async def until_back(lane: LaneOfTests, *hosts: str, step: float = 0.1) -> None:
    wanted = {f"put-back-health/{host}" for host in hosts}
    await lane.until(
        lane.child, lambda status: wanted <= {row.key for row in status.rows if row.state is State.DONE}, step=step
    )


async def given_up(handle: Handle) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "RollbackGivenUp"
    return cause


async def test_each_host_goes_back_to_what_was_recorded_and_is_watched_until_it_is_healthy(lane: LaneOfTests) -> None:
    await lane.result(await broken(lane))
    for host in HOSTS:
        [back] = lane.crew.of(steps.PUT_BACK, host)
        assert (back.order.way_back.digest, back.order.way_back.container_id) == (OLD_DIGEST, "old")
        assert back.order.failed_release != back.order.ref.release
        [health] = lane.crew.of(steps.PUT_BACK_HEALTH, host)
        assert (health.order.image.version, health.order.image.digest) == ("1.3.0", OLD_DIGEST)
        assert health.order.container_id == "old"
    result = RollbackResult.model_validate(await lane.child.result())
    assert (result.outcome, result.hosts) == (Outcome.ROLLED_BACK, HOSTS)
    assert result.postmortem == "https://git.example.net/issues/9"
    status = await lane.status(lane.child)
    assert [row.key for row in status.rows if row.state is not State.DONE] == []
    assert status.kind == "rollback"
    assert status.reason == "soak: checkout fails"


async def test_the_postmortem_knows_the_run_of_the_release_that_failed(lane: LaneOfTests) -> None:
    await lane.result(await broken(lane))
    [postmortem] = lane.crew.of(steps.POSTMORTEM)
    [swap, *_] = lane.crew.of(steps.SWAP)
    assert postmortem.order.failed == swap.order.ref


async def test_a_later_run_has_a_later_epoch(lane: LaneOfTests) -> None:
    await lane.result(await broken(lane))
    [back, *_] = lane.crew.of(steps.PUT_BACK)
    [swap, *_] = lane.crew.of(steps.SWAP)
    assert back.order.ref.epoch > swap.order.ref.epoch
    assert back.order.failed_release == swap.order.ref.release


async def test_a_host_on_which_nothing_ran_is_not_watched_afterwards(lane: LaneOfTests) -> None:
    lane.crew.at(steps.WAY_BACK, answering(WayBack(host="production-2")), "production-2")
    await lane.result(await broken(lane))
    assert lane.crew.count(steps.PUT_BACK, "production-2") == 1
    assert lane.crew.count(steps.PUT_BACK_HEALTH, "production-2") == 0
    assert lane.crew.fleet["production-2"] is None


async def test_what_is_known_by_its_container_alone_must_be_well_again_too(lane: LaneOfTests) -> None:
    """What ran before the first release may have neither a version nor a digest of ours."""
    lane.crew.at(steps.WAY_BACK, answering(WayBack(host="production-2", container_id="by-hand")), "production-2")
    await lane.result(await broken(lane))
    [health] = lane.crew.of(steps.PUT_BACK_HEALTH, "production-2")
    assert (health.order.image, health.order.container_id) == (None, "by-hand")


async def test_people_are_told_of_a_host_that_is_away_after_two_minutes_and_then_every_hour(lane: LaneOfTests) -> None:
    lane.crew.project = project(wait={"remind_every": "1h"})
    lane.crew.at(steps.PUT_BACK, away_for(3.5 * HOUR), "production-2")
    await lane.result(await broken(lane))
    began = lane.crew.of(steps.PUT_BACK)[0].at
    told = [done for done in lane.crew.of(steps.NOTIFY) if done.order.key.startswith("put-back/")]
    assert [done.order.key for done in told] == [f"put-back/production-2/{number}" for number in (1, 2, 3, 4)]
    assert [round((done.at - began) / timedelta(minutes=1)) for done in told] == [2, 62, 122, 182]
    assert "production-2 is not back on its previous version yet" in told[0].order.body


async def test_a_postmortem_whose_answer_was_lost_is_there_once(lane: LaneOfTests) -> None:
    lane.crew.at(steps.POSTMORTEM, failing(Cause.UNREACHABLE, "answer lost", times=2, final=False), after=True)
    assert (await lane.result(await broken(lane))).outcome is Outcome.ROLLED_BACK
    assert lane.crew.count(steps.POSTMORTEM) == 3
    assert lane.crew.effects[steps.POSTMORTEM.name] == 1


async def test_a_refused_host_waits_for_a_person_without_end_and_goes_on_after_retry(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PUT_BACK, failing(Cause.FENCED, "a later release runs here", times=1), "production-3")
    handle = await broken(lane)
    status = await lane.in_need(lane.child)
    [need] = status.needs
    assert (need.host, need.until) == ("production-3", None)
    assert need.send[1] == (
        f"temporal workflow signal --workflow-id {ROLLBACK_OF_SHOP} --name abort "
        '--input \'{"by":"YOU","reason":"WHY"}\''
    )
    await lane.pass_until(need.since + timedelta(days=3))
    assert (await lane.status(lane.child)).needs == [need]
    assert lane.crew.told("Reminder: ", "put-back on production-3")
    assert lane.crew.told("still to be put back") == []
    await lane.child.signal(names.RETRY, {"by": "alice"})
    assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK


async def test_a_cancel_before_its_first_task_changes_nothing(idle_lane: LaneOfTests) -> None:
    """The child is there, but no worker has seen it: it is cancelled, and begins and ends all the same."""
    lane = idle_lane
    async with lane.working():
        hold = lane.crew.hold(steps.SOAK)
        handle = await lane.approved()
        await hold.reached.wait()
        stopped = asyncio.create_task(_cancelled_as_soon_as_it_is_there(lane))
        await handle.signal(names.ROLL_BACK, {"by": "bob"})
        await stopped
        assert (await lane.result(handle)).outcome is Outcome.ROLLED_BACK
    assert set(lane.crew.fleet.values()) == {OLD_DIGEST}


async def _cancelled_as_soon_as_it_is_there(lane: LaneOfTests) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await lane.child.cancel()
                return
            except Exception:  # noqa: BLE001 - not there yet
                await asyncio.sleep(0.01)


async def test_only_abort_gives_it_up_and_both_runs_fail_as_that(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PUT_BACK, failing(Cause.UNREACHABLE, "no route", final=False), "production-2")
    handle = await broken(lane)
    await until_back(lane, "production-1", "production-3")
    refused = await lane.decide(lane.child, {"decision": "roll_back", "by": "bob"})
    assert refused.why == "it is a rollback: it goes on until production is back, only abort gives it up"
    gate = await lane.decide(lane.child, {"decision": "approve", "by": "bob", "digest": OLD_DIGEST})
    assert gate.why.startswith("the gate of a rollback doesn't exist")
    given = await lane.decide(lane.child, {"decision": "abort", "by": "bob", "reason": "host is scrap"})
    assert given.accepted
    assert "aborted by bob: host is scrap" in (await given_up(lane.child)).message
    failure = await given_up(handle)
    assert failure.message == (
        "rolling back production-1, production-2, production-3 was given up, they may run different versions: "
        "aborted by bob: host is scrap"
    )
    assert [entry.outcome for entry in lane.crew.kept("outcome")] == ["aborted", "aborted"]
    assert (await lane.status(handle)).summary == failure.message
    assert lane.crew.told("shop 1.4.0: aborted", "was given up")


async def test_both_runs_keep_their_outcome_with_who_asked_for_it(lane: LaneOfTests) -> None:
    hold = lane.crew.hold(steps.SOAK)
    handle = await lane.approved()
    await hold.reached.wait()
    await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "checkout fails"})
    await lane.result(handle)
    [ordered] = lane.crew.kept("rollback")
    assert (ordered.actor, ordered.outcome) == ("bob", "ordered")
    outcomes = lane.crew.kept("outcome")
    assert [entry.outcome for entry in outcomes] == ["rolled_back", "rolled_back"]
    assert all(entry.version == "1.4.0" for entry in outcomes)
    assert outcomes[1].evidence == ["alice"]


@workflow.defn(name="Stranger")
class Stranger:
    """Somebody else's workflow that passes itself off as a release."""

    @workflow.run
    async def run(self, order: dict[str, Any], queue: str) -> Any:
        return await workflow.execute_child_workflow(
            names.ROLLBACK_WORKFLOW, order, id=ROLLBACK_OF_SHOP, task_queue=queue
        )


async def test_a_stranger_that_starts_one_as_its_child_is_refused(idle_lane: LaneOfTests) -> None:
    lane = idle_lane
    order = await _order_of_a_real_rollback(lane)
    lane.crew = Crew()
    stranger = Worker(
        lane.client, task_queue="strange", workflows=[Stranger], workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with lane.working(), stranger:
        with pytest.raises(WorkflowFailureError):
            await lane.client.execute_workflow(
                "Stranger", args=[order, lane.queue], id="stranger", task_queue="strange"
            )
        with pytest.raises(WorkflowFailureError) as failed:
            await lane.child.result()
    assert str(failed.value.cause) == (
        "OrderRefused: workflow ID 'stranger' is not the project's lane: start it with workflow ID 'release-shop'"
    )
    assert lane.crew.log == []


async def _order_of_a_real_rollback(lane: LaneOfTests) -> dict[str, Any]:
    """The order that a release of ours gave its rollback."""
    async with lane.working():
        await lane.result(await broken(lane))
        [started, *_] = await lane.events(lane.child)
    payload = started.workflow_execution_started_event_attributes.input.payloads[0]
    return FailedRelease.model_validate_json(payload.data).model_dump(mode="json")
