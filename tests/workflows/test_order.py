"""The door: what is no order, or not for this lane, ends at once in one clear line, and has started nothing."""

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.trouble import Cause
from tests.workflows.conftest import ORDER, Handle, LaneOfTests
from tests.workflows.crew import failing
from tests.workflows.shapes import WRONG, encoded, raw

BOTH = pytest.mark.parametrize("workflow", sorted(names.LANE_WORKFLOWS))
TYPO = {**ORDER.model_dump(mode="json"), "comit": "d" * 40}
MORE_THAN_ONE = {"two arguments", "three arguments"}


async def refusal(handle: Handle) -> ApplicationError:
    """The failure of a run that was refused, after looking that nothing was started."""
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "OrderRefused"
    assert "\n" not in cause.message
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
    return cause


async def start(lane: LaneOfTests, workflow: str, payloads: list[Any], lane_id: str = "release-shop") -> Handle:
    return await lane.client.start_workflow(workflow, args=payloads, id=lane_id, task_queue=lane.queue)


@BOTH
async def test_every_wrong_shape_is_refused_at_once(lane: LaneOfTests, workflow: str) -> None:
    for shape, payloads in WRONG.items():
        handle = await start(lane, workflow, payloads)
        cause = await refusal(handle)
        assert len(cause.message) < 1100, shape
        events = await lane.events(handle)
        assert [event.event_type for event in events] == [
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        ], shape
        assert (await lane.status(handle)).summary == f"refused: {cause.message}"
    assert lane.crew.log == []


@pytest.mark.parametrize(
    ("payloads", "message"),
    [
        ([], "it is started with one JSON object with project, version, commit (optional), requested_by,"),
        ([encoded(None)], ", not with null"),
        ([encoded("release it")], ", not with a text"),
        ([encoded([1])], ", not with a list"),
        ([encoded(True)], ", not with a boolean"),
        ([encoded(7)], ", not with a number"),
        ([raw(b"\x00", b"binary/encrypted")], ", not with 1 bytes said to be binary/encrypted"),
        ([encoded({}), encoded({})], ", not with 2 values"),
        ([encoded({"project": "shop", "version": "1.4.0"})], "requested_by: Field required"),
        (
            [encoded({"project": "shop", "version": "latest", "requested_by": "x"})],
            "version 'latest' is not a semantic",
        ),
        ([encoded({"project": "../shop", "version": "1.4.0", "requested_by": "x"})], "'../shop' is not a project name"),
        ([encoded(TYPO)], "the order has no field 'comit'"),
        ([encoded({**ORDER.model_dump(mode="json"), "reason": "a\nb"})], "reason: "),
    ],
)
async def test_the_line_says_what_was_wrong(lane: LaneOfTests, payloads: list[Any], message: str) -> None:
    assert message in (await refusal(await start(lane, names.RELEASE_WORKFLOW, payloads))).message


async def test_a_rollback_wants_its_reason(lane: LaneOfTests) -> None:
    order = {"project": "shop", "requested_by": "bob"}
    for given, message in ((order, "reason: Field required"), ({**order, "reason": ""}, "at least 1 character")):
        assert message in (await refusal(await start(lane, names.ROLLBACK_WORKFLOW, [given]))).message


@BOTH
@pytest.mark.parametrize("lane_id", ["release-other", "shop", "release-shop-rollback", "RELEASE-shop"])
async def test_a_run_outside_its_lane_is_refused(lane: LaneOfTests, workflow: str, lane_id: str) -> None:
    order = {"project": "shop", "requested_by": "bob", "reason": "x"}
    if workflow == names.RELEASE_WORKFLOW:
        order["version"] = "1.4.0"
    cause = await refusal(await start(lane, workflow, [order], lane_id))
    assert cause.message == (
        f"workflow ID {lane_id!r} is not the project's lane: start it with workflow ID 'release-shop'"
    )
    assert lane.crew.log == []


@BOTH
async def test_a_plan_that_is_refused_refuses_the_order_with_its_line(lane: LaneOfTests, workflow: str) -> None:
    line = "production.hosts[1]: 'a b' is not a host name or address"
    lane.crew.at(steps.PLAN, failing(Cause.REFUSED, line))
    lane.crew.at(steps.PLAN_ROLLBACK, failing(Cause.REFUSED, line))
    handle = await lane.start() if workflow == names.RELEASE_WORKFLOW else await lane.start_rollback()
    assert (await refusal(handle)).message == line
    assert len(lane.crew.log) == 1


async def test_a_plan_that_nobody_could_make_is_refused_when_its_tries_are_spent(lane: LaneOfTests) -> None:
    lane.crew.at(steps.PLAN, failing(Cause.UNREACHABLE, "no answer", final=False))
    assert (await refusal(await lane.start())).message == "no answer"
    assert lane.crew.count(steps.PLAN) == steps.PLAN.retry.maximum_attempts


async def test_messages_to_a_run_that_is_refused_harm_nothing(idle_lane: LaneOfTests) -> None:
    handle = await start(idle_lane, names.RELEASE_WORKFLOW, ["nonsense"])
    for payloads in WRONG.values():
        await handle.signal(names.ABORT, args=payloads)
    await handle.signal(names.ABORT, {"by": "alice"})
    async with idle_lane.working():
        await refusal(handle)
        assert len((await idle_lane.status(handle)).messages) == len(WRONG) + 1


async def test_a_run_that_says_it_is_a_rollback_of_a_release_must_be_one(lane: LaneOfTests) -> None:
    """Without a parent, an order that names hosts is no order: whoever starts a rollback names a version at most."""
    ordered = {"failed": {"project": "shop"}, "ways_back": [{"host": "production-1"}], "reason": "mine"}
    cause = await refusal(await start(lane, names.ROLLBACK_WORKFLOW, [ordered]))
    assert "the order has no field 'failed, ways_back'" in cause.message
