"""How large a release may grow: its history with every retry and reminder of the defaults, and its largest payloads."""

import itertools
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.exceptions import ApplicationError

from runbook import names, steps
from runbook.continuation import Continuation, GateMemory
from runbook.message import LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES, Order, ReleaseRef
from runbook.outline import of_release
from runbook.pipeline import FinishedRun
from runbook.plan import Plan
from runbook.status import GateView, GivenDecision, Outcome, RefusedDecision, Status
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import COMMIT, DIGEST, image, project
from tests.workflows.conftest import LaneOfTests
from tests.workflows.crew import answering, failing

MOST_EVENTS = 400
MOST_BYTES = 512 * 1024
"""Of one payload, from which on Temporal warns; it takes four times as much."""
NO_NEWS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
}
"""What a workflow task ends with, or asks for: no reason for another."""
URL = "https://git.example.net/runs/1"


def stumbling(step: Step[Any, Any]) -> Any:
    """Fail as often as the step's policy bears; three times where that has no end."""
    failures = Counter[str]()
    most = (step.retry.maximum_attempts or 4) - 1

    async def fail(order: Order) -> None:
        identity = order.model_dump_json(exclude={"at"})
        failures[identity] += 1
        if failures[identity] <= most:
            raise ApplicationError("no answer", {"evidence": ["seen"] * MOST_LINES}, type=Cause.UNREACHABLE)

    return fail


async def test_a_three_host_release_with_every_retry_and_reminder_stays_under_400_events(lane: LaneOfTests) -> None:
    """The project's defaults: every step fails as often as it may, the pipeline too, and people decide in the last hour."""
    lane.crew.project = project(staging={"hosts": ["staging-1"]})
    logging.disable(logging.WARNING)
    await lane.register_search_attributes()
    assert len(lane.crew.project.production.hosts) == 3
    attempts = lane.crew.project.pipeline.attempts
    ends = [FinishedRun(run=1, mark=f"mark-{n}", url=URL, succeeded=n == attempts) for n in range(1, attempts + 1)]
    for step in steps.ALL:
        lane.crew.at(step, stumbling(step))
    lane.crew.at(steps.PIPELINE_END, answering(*ends))
    handle = await lane.start()
    status = await lane.until(handle, lambda status: status.gate is not None, step=5)
    assert status.gate is not None
    await lane.pass_until(status.gate.expires - timedelta(minutes=10))
    await lane.approve(handle)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    logging.disable(logging.NOTSET)
    events = await lane.events(handle)
    counted = of_a_real_server(events)
    print(f"{counted} events, {sum(event.ByteSize() for event in events)} bytes, {len(lane.crew.log)} attempts")  # noqa: T201 - the figure is wanted
    assert len([notice for notice in lane.crew.notices if notice.title.startswith("Reminder")]) == 5
    assert len(lane.crew.log) > 200, "nothing stumbled"
    assert counted < MOST_EVENTS


def of_a_real_server(events: list[HistoryEvent]) -> int:
    """How many they are without the tasks, three events each, that only the time-skipping server gives: with no news."""
    pairs = itertools.pairwise(event.event_type for event in events)
    empty = sum(before in NO_NEWS and now == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED for before, now in pairs)
    return len(events) - 3 * empty


async def test_a_day_of_waiting_for_a_person_and_its_reminders_add_a_handful_of_events(lane: LaneOfTests) -> None:
    lane.crew.at(steps.TAG, failing(Cause.PUSH_REJECTED, "remote: protected", times=1))
    handle = await lane.start()
    [need] = (await lane.in_need(handle)).needs
    await lane.sleep(60)
    before = len(await lane.events(handle))
    await lane.pass_until(need.since + timedelta(hours=23, minutes=30))
    assert len(lane.crew.told("Reminder", "needs a person: tag")) == 23
    assert len(await lane.events(handle)) - before <= 1
    await handle.signal(names.RETRY, {"by": "alice"})
    await lane.at_gate(handle)


@pytest.fixture
def fullest() -> Continuation:
    """A gate of a release to twenty hosts at which everything is as large as anybody can make it."""
    hosts = [f"production-{number}" for number in range(20)]
    large = project(production={"hosts": hosts}, gate={"approvers": ["alice", "bob", "dave", "erin"], "approvals": 4})
    now, line = datetime.now(UTC), "x" * LONGEST_LINE
    ref = ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release="r", epoch=1, requested_by="carol"
    )
    given = [GivenDecision(by=by, at=now, comment="x" * 2000, signature="x" * 8000) for by in ("alice", "bob", "dave")]
    refused = [RefusedDecision(kind="approve", by="mallory", at=now, why=line, sender=line)] * 20
    gate = GateView(
        image=image().reference,
        digest=DIGEST,
        commit=COMMIT,
        plan="sha256:1",
        needed=4,
        approvers=large.gate.approvers,
        requester_may_approve=False,
        approvals=given,
        refusals=refused,
        opened=now,
        expires=now,
        changelog="x" * 4000,
    )
    rows = of_release(large)
    for row in rows:
        row.evidence, row.finding, row.trouble = [line] * MOST_LINES, line, "x" * LONGEST_MESSAGE
    status = Status(
        project="shop",
        version="1.4.0",
        requested_by="carol",
        workflow_id="release-shop",
        run_id="r",
        started=now,
        gate=gate,
        rows=rows,
        messages=["x" * 600] * 50,
    )
    plan = Plan(version="1.4.0", commit=COMMIT, project=large, file_fingerprint="sha256:1")
    return Continuation(ref=ref, plan=plan, status=status, memory=GateMemory(), entries=1, refusals=1)


def test_the_status_of_a_release_to_twenty_hosts_is_no_large_payload(fullest: Continuation) -> None:
    """It answers a query, and the gate takes it along into a new run; at the gate no row of production has anything."""
    assert len(fullest.status.model_dump_json().encode()) < 4 * MOST_BYTES
    at_gate = [row for row in fullest.status.rows if row.host not in fullest.plan.project.production.hosts]
    fullest.status.rows = at_gate
    assert len(fullest.model_dump_json().encode()) < MOST_BYTES
