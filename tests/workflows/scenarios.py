"""Every kind of way that a run can take, each a short story; evictions and recorded histories are told with them."""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import WorkflowFailureError

from runbook import names, steps
from runbook.approval import VerifiedSignature
from runbook.drift_check import DriftOrder, StandingDrift
from runbook.pipeline import FinishedRun
from runbook.service import WayBack
from runbook.trouble import Cause
from tests.projects import DIGEST, project
from tests.workflows.brief_release import BriefRelease
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import answering, away_for, failing
from tests.workflows.findings import drift_plan, host_state_of

Story = Callable[[LaneOfTests], Awaitable[Handle]]
_WRONG = VerifiedSignature(ok=False, why="it does not fit", key="ssh-ed25519 SHA256:mallory")
_RIGHT = VerifiedSignature(ok=True, why="signed by bob", key="ssh-ed25519 SHA256:bob")
HOSTS = {"hosts": ["production-1", "production-2"]}


async def released(lane: LaneOfTests) -> Handle:
    await lane.register_search_attributes()
    return await lane.approved()


async def released_by_two_after_junk(lane: LaneOfTests) -> Handle:
    lane.crew.project = project(production=HOSTS, gate={"approvals": 2})
    handle = await lane.start()
    await handle.signal(names.APPROVE)
    await handle.signal("aprove", "please")
    await lane.at_gate(handle)
    await lane.approve(handle, by="mallory")
    await lane.decide(handle, {"decision": "approve", "by": "alice", "digest": DIGEST, "comment": "fine"})
    await lane.approve(handle, by="bob")
    return handle


async def signed_in_hours(lane: LaneOfTests) -> Handle:
    opens = await lane.now() + timedelta(hours=5)
    freeze = {"from": "2020-01-01", "to": f"{opens:%Y-%m-%dT%H:%M}", "reason": "year's end"}
    lane.crew.project = project(production=HOSTS, gate={"allowed_signers": "/etc/allowed_signers", "freezes": [freeze]})
    lane.crew.at(steps.VERIFY_SIGNATURE, answering(_WRONG, _RIGHT))
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.REMIND, {"by": "carol"})
    await lane.approve(handle)
    for _ in range(2):
        await lane.decide(handle, {"decision": "approve", "by": "bob", "digest": DIGEST, "signature": "signed"})
    return handle


async def went_on_anew(lane: LaneOfTests) -> Handle:
    """The run that its gate went on in, told by workers for which a history is long soon."""
    brief = dataclasses.replace(lane, release=BriefRelease, queue=f"{lane.queue}-brief")
    brief.crew.project = project(production=HOSTS, gate={"approvals": 2})
    async with brief.working():
        handle = await brief.start()
        await brief.at_gate(handle)
        while not await brief.went_on(handle):
            await brief.sleep(1)
            await brief.approve(handle, by="mallory")
        await brief.approve(handle, by="bob")
        await brief.approve(handle, by="alice")
        last = await brief.last(handle)
    [started, *_] = await brief.events(last)
    assert started.workflow_execution_started_event_attributes.continued_execution_run_id
    return last


async def rejected(lane: LaneOfTests) -> Handle:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.signal(names.REJECT, {"by": "bob", "digest": DIGEST, "comment": "not today"})
    return handle


async def expired(lane: LaneOfTests) -> Handle:
    handle = await lane.start()
    await lane.at_gate(handle)
    return handle


async def aborted(lane: LaneOfTests) -> Handle:
    hold = lane.crew.hold(steps.TAG, stubborn=True)
    handle = await lane.start()
    await hold.reached.wait()
    await lane.decide(handle, {"decision": "abort", "by": "bob", "reason": "wrong commit"})
    hold.let_go.set()
    return handle


async def cancelled(lane: LaneOfTests) -> Handle:
    handle = await lane.start()
    await lane.at_gate(handle)
    await handle.cancel()
    return handle


async def refused(lane: LaneOfTests) -> Handle:
    return await lane.start({"project": "shop", "version": "latest"})


async def escalated(lane: LaneOfTests) -> Handle:
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: protected", times=1))
    lane.crew.at(steps.CI_GREEN, failing(Cause.REFUSED, "build is red", times=1))
    handle = await lane.start()
    await lane.in_need(handle)
    await lane.sleep(timedelta(hours=1.5))
    await handle.signal(names.RETRY, {"by": "alice", "step": "ci-green"})
    await lane.until(handle, lambda status: [need.step for need in status.needs] == ["tag"])
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    await lane.approve(handle)
    return handle


async def reminded(lane: LaneOfTests) -> Handle:
    """Of a step that needs a person, and of a gate at which one of two has decided."""
    lane.crew.project = project(production=HOSTS, gate={"approvals": 2, "remind_every": "4h"})
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: protected", times=1))
    handle = await lane.start()
    await lane.in_need(handle)
    await lane.sleep(timedelta(hours=3.5))
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)
    await lane.sleep(timedelta(hours=9))
    await lane.approve(handle, by="alice")
    await lane.sleep(timedelta(hours=4))
    assert len(lane.crew.told("Reminder")) >= 3 + 3
    await lane.approve(handle, by="bob")
    return handle


async def pipeline_run_again(lane: LaneOfTests) -> Handle:
    url = "https://git.example.net/runs/1"
    ends = [FinishedRun(run=1, mark=f"mark-{n}", url=url, succeeded=n == 3, failed_jobs=["build"]) for n in (1, 2, 3)]
    lane.crew.at(steps.PIPELINE_END, answering(*ends))
    return await lane.approved()


async def rolled_back(lane: LaneOfTests) -> Handle:
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503 for 5 min"), "production-2")
    return await lane.approved()


async def rolled_back_by_hand_in_the_pause(lane: LaneOfTests) -> Handle:
    lane.crew.project = project(production={**HOSTS, "pause": "1h"})
    handle = await lane.approved()
    await lane.until(handle, lambda status: lane.crew.count(steps.HEALTH) == 1)
    await lane.sleep(60)
    await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "checkout fails"})
    return handle


async def cancelled_in_promotion(lane: LaneOfTests) -> Handle:
    lane.crew.project = project(production=HOSTS)
    lane.crew.at(steps.PUT_BACK, away_for(timedelta(hours=2)), "production-2")
    hold = lane.crew.hold(steps.SWAP, "production-2", stubborn=True)
    handle = await lane.approved()
    await hold.reached.wait()
    await handle.cancel()
    await lane.until(handle, lambda status: hold.cancelled)
    hold.let_go.set()
    return handle


async def given_up(lane: LaneOfTests) -> Handle:
    lane.crew.project = project(production=HOSTS)
    lane.crew.at(steps.SOAK, failing(Cause.UNHEALTHY, "checkout fails"))
    lane.crew.at(steps.PUT_BACK, failing(Cause.REFUSED, "no image"), "production-1")
    handle = await lane.approved()
    await lane.in_need(lane.child)
    await lane.until_ended(lane.child, steps.RECORD_HOST)
    await lane.child.signal(names.ABORT, {"by": "bob", "reason": "host is scrap"})
    return handle


async def by_hand(lane: LaneOfTests) -> Handle:
    lane.crew.project = project(production=HOSTS)
    lane.crew.at(steps.RETURN, away_for(timedelta(minutes=5)), "production-1")
    return await lane.start_rollback(to_version="1.2.0")


async def drifted(lane: LaneOfTests) -> Handle:
    """The first look is at a host that is silent, the second one is told, and an earlier drift is gone."""
    await lane.register_search_attributes()
    gone = StandingDrift(key="production-3/not-up/exited", host="production-3", what="exited", since="yesterday")
    lane.crew.at(steps.PLAN_DRIFT_CHECK, answering(drift_plan(standing=[gone], told=1, search_attributes=True)))
    lane.crew.at(steps.INSPECT_HOST, failing(Cause.UNREACHABLE, "no route to host"), "production-1")
    lane.crew.at(steps.INSPECT_HOST, answering(host_state_of("production-2", restarts=1)), "production-2")
    return await lane.client.start_workflow(
        names.DRIFT_WORKFLOW,
        DriftOrder(project="shop", requested_by="alice"),
        id=names.drift_check("shop"),
        task_queue=lane.queue,
    )


async def staging_returned(lane: LaneOfTests) -> Handle:
    lane.crew.at(steps.SMOKE_TEST, failing(Cause.SMOKE_FAILED, "exit 1"), "staging-1")
    handle = await lane.start()
    await lane.in_need(handle)
    await handle.signal(names.ABORT, {"by": "bob", "reason": "bad candidate"})
    return handle


async def rolled_back_to_a_container(lane: LaneOfTests) -> Handle:
    """What ran before on the first host is known by its container alone."""
    lane.crew.project = project(production=HOSTS)
    lane.crew.at(steps.WAY_BACK, answering(WayBack(host="production-1", container_id="by-hand")), "production-1")
    lane.crew.at(steps.HEALTH, failing(Cause.UNHEALTHY, "503"), "production-1")
    return await lane.approved()


STORIES: dict[str, tuple[Story, str]] = {
    "released": (released, "released"),
    "released-by-two-after-junk": (released_by_two_after_junk, "released"),
    "signed-in-hours": (signed_in_hours, "released"),
    "went-on-anew": (went_on_anew, "released"),
    "rejected": (rejected, "rejected"),
    "expired": (expired, "expired"),
    "aborted": (aborted, "aborted"),
    "cancelled": (cancelled, "CANCELED"),
    "refused": (refused, "FAILED"),
    "escalated": (escalated, "released"),
    "reminded": (reminded, "released"),
    "pipeline-run-again": (pipeline_run_again, "released"),
    "rolled-back": (rolled_back, "rolled_back"),
    "rolled-back-in-the-pause": (rolled_back_by_hand_in_the_pause, "rolled_back"),
    "cancelled-in-promotion": (cancelled_in_promotion, "rolled_back"),
    "given-up": (given_up, "FAILED"),
    "by-hand": (by_hand, "rolled_back"),
    "released-with-records": (released, "released"),
    "rolled-back-with-records": (rolled_back, "rolled_back"),
    "by-hand-with-records": (by_hand, "rolled_back"),
    "drifted": (drifted, "drifted"),
    "released-with-the-promotion-told": (released, "released"),
    "staging-returned": (staging_returned, "aborted"),
    "rolled-back-to-a-container": (rolled_back_to_a_container, "rolled_back"),
}
"""Each story and how it ends: the outcome, or how Temporal closed the run where that is no outcome."""

HAS_CHILD = (
    "rolled-back",
    "rolled-back-in-the-pause",
    "cancelled-in-promotion",
    "given-up",
    "rolled-back-with-records",
    "rolled-back-to-a-container",
)
DRIFT_CHECKS = ("drifted",)


async def told(lane: LaneOfTests, name: str) -> Handle:
    """Tell this story to its end; the run."""
    story, end = STORIES[name]
    handle = await story(lane)
    try:
        result = await handle.result()
        ended = result["verdict" if name in DRIFT_CHECKS else "outcome"]
    except WorkflowFailureError:
        status = (await handle.describe()).status
        assert status is not None
        ended = status.name
    assert ended == end, f"{name} ended as {ended}, not as {end}"
    return handle
