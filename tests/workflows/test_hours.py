"""Windows and freezes: approved at any time, promoted only inside, and people know when that is."""

from datetime import datetime, timedelta
from typing import Any

from runbook import names, steps
from runbook.status import Outcome, Status
from runbook.trouble import Cause
from runbook.window import ReleaseWindow, WindowToCheck
from tests.projects import DIGEST, project
from tests.workflows.conftest import Handle, LaneOfTests
from tests.workflows.crew import failing

HOUR = timedelta(hours=1)


def clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def frozen(until: datetime, reason: str = "year's end") -> dict[str, Any]:
    """The policy of a project that is frozen until then, by UTC."""
    freeze = {
        "from": f"{until - timedelta(days=30):%Y-%m-%dT%H:%M}",
        "to": f"{until:%Y-%m-%dT%H:%M}",
        "reason": reason,
    }
    return {"zone": "UTC", "freezes": [freeze]}


async def whole_minute(lane: LaneOfTests, after: timedelta) -> datetime:
    moment = await lane.now() + after
    return moment.replace(second=0, microsecond=0)


async def paused(lane: LaneOfTests, handle: Handle) -> Status:
    return await lane.until(handle, lambda status: bool(status.pause))


async def test_an_approved_release_waits_for_the_end_of_a_freeze_and_goes_on_by_itself(lane: LaneOfTests) -> None:
    opens = await whole_minute(lane, 50 * HOUR)
    lane.crew.project = project(gate=frozen(opens))
    handle = await lane.approved()
    status = await paused(lane, handle)
    assert status.stage == "window"
    assert not status.needs_person
    assert "frozen: year's end; opens " in status.pause
    assert f"⌛ {status.pause}" in await handle.query(names.BOARD)
    assert not lane.crew.count(steps.WAY_BACK)
    await lane.pass_until(opens - timedelta(seconds=1))
    assert not lane.crew.count(steps.SWAP)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert (await lane.status(handle)).pause == ""
    first = min(done.at for done in lane.crew.of(steps.SWAP))
    assert timedelta(0) <= first - opens < timedelta(minutes=1)


async def test_a_window_by_the_clock_opens_on_its_day(lane: LaneOfTests) -> None:
    opens = await whole_minute(lane, 3 * HOUR)
    window = {"from": clock(opens), "to": clock(opens + HOUR)}
    lane.crew.project = project(gate={"windows": [window]})
    handle = await lane.approved()
    assert "outside the release windows" in (await paused(lane, handle)).pause
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert min(done.at for done in lane.crew.of(steps.SWAP)) >= opens


async def test_inside_its_window_a_release_waits_for_nothing(lane: LaneOfTests) -> None:
    now = await lane.now()
    window = {"from": clock(now - HOUR), "to": clock(now + 4 * HOUR)}
    lane.crew.project = project(gate={"windows": [window]})
    assert (await lane.result(await lane.approved())).outcome is Outcome.RELEASED
    assert not [notice for notice in lane.crew.notices if notice.key.startswith("window/")]


async def test_on_call_is_told_once_when_it_will_be_promoted(lane: LaneOfTests) -> None:
    opens = await whole_minute(lane, 5 * HOUR)
    lane.crew.project = project(gate=frozen(opens))
    handle = await lane.approved()
    await lane.result(handle)
    [notice] = [notice for notice in lane.crew.notices if notice.key.startswith("window/")]
    assert notice.to == "on_call"
    assert f"opens {opens:%a %Y-%m-%d %H:%M} UTC" in notice.body
    assert "approved and waits for the release window" in notice.title


async def test_approvers_see_the_hours_before_they_decide(lane: LaneOfTests) -> None:
    opens = await whole_minute(lane, 5 * HOUR)
    lane.crew.project = project(gate=frozen(opens))
    handle = await lane.start()
    await lane.until(handle, lambda status: status.gate is not None and bool(status.gate.window))
    board = await handle.query(names.BOARD)
    assert "Production may be changed: frozen: year's end; opens" in board
    assert "and not from" in board
    verdict = await lane.decide(handle, {"decision": "approve", "by": "alice", "digest": DIGEST})
    assert verdict.why == "approved: promotion begins inside the release window"
    assert (await lane.status(handle)).stage == "gate"


async def test_a_window_that_closed_while_a_step_was_in_trouble_is_waited_for_again(lane: LaneOfTests) -> None:
    now = await lane.now()
    window = {"from": clock(now - HOUR), "to": clock(now + HOUR)}
    lane.crew.project = project(gate={"windows": [window]})
    lane.crew.at(steps.WAY_BACK, failing(Cause.REFUSED, "changed by hand", times=1), "production-1")
    handle = await lane.approved()
    await lane.in_need(handle)
    await lane.pass_until(now + 2 * HOUR)
    await handle.signal(names.RETRY, {"by": "bob"})
    await paused(lane, handle)
    assert not lane.crew.count(steps.SWAP)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    first = min(done.at for done in lane.crew.of(steps.SWAP))
    assert first >= (now - HOUR).replace(second=0, microsecond=0) + 24 * HOUR


async def test_a_window_that_closed_while_a_signature_waited_for_a_person_is_waited_for_again(
    lane: LaneOfTests,
) -> None:
    now = await lane.now()
    window = {"from": clock(now - HOUR), "to": clock(now + HOUR)}
    lane.crew.project = project(gate={"windows": [window], "allowed_signers": "/etc/allowed_signers"})
    handle = await lane.start()
    await lane.at_gate(handle)
    await lane.decide(handle, {"decision": "approve", "by": "alice", "digest": DIGEST, "signature": "signed"})
    lane.crew.at(steps.VERIFY_SIGNATURE, failing(Cause.UNREACHABLE, "allowed_signers can't be read", times=1))
    await lane.in_need(handle)
    await lane.pass_until(now + 2 * HOUR)
    await handle.signal(names.RETRY, {"by": "bob"})
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    first = min(done.at for done in lane.crew.of(steps.SWAP))
    assert first >= (now - HOUR).replace(second=0, microsecond=0) + 24 * HOUR
    last = lane.crew.of(steps.VERIFY_SIGNATURE)[-1]
    assert last.at >= (now - HOUR).replace(second=0, microsecond=0) + 24 * HOUR, "proved once more"


async def test_a_window_that_closed_before_the_look_at_it_was_answered_is_waited_for_again(lane: LaneOfTests) -> None:
    """As where no worker was there for hours."""
    now = await lane.now()
    lane.crew.project = project(gate={"windows": [{"from": clock(now - HOUR), "to": clock(now + HOUR)}]})
    handle = await lane.start()
    await lane.at_gate(handle)
    late = [ReleaseWindow(is_open=True, closes=now - timedelta(minutes=1), why="open")]

    async def answered_late(_order: WindowToCheck) -> ReleaseWindow | None:
        return late.pop() if late else None

    lane.crew.at(steps.WINDOW, answered_late)
    looks = lane.crew.count(steps.WINDOW)
    await lane.approve(handle)
    assert (await lane.result(handle)).outcome is Outcome.RELEASED
    assert lane.crew.count(steps.WINDOW) == looks + 3, "late, again, and before the first swap"


async def test_while_it_waits_for_its_window_it_can_be_aborted_and_production_was_never_touched(
    lane: LaneOfTests,
) -> None:
    lane.crew.project = project(gate=frozen(await whole_minute(lane, 50 * HOUR)))
    handle = await lane.approved()
    await paused(lane, handle)
    await handle.signal(names.ABORT, {"by": "alice", "reason": "not this year"})
    assert (await lane.result(handle)).outcome is Outcome.ABORTED
    assert not {steps.WAY_BACK.name, steps.SWAP.name} & set(lane.crew.performed())


async def test_a_zone_that_the_worker_does_not_know_asks_a_person(lane: LaneOfTests) -> None:
    lane.crew.project = project(gate=frozen(await whole_minute(lane, HOUR)))
    lane.crew.at(steps.WINDOW, failing(Cause.REFUSED, "no time zone 'Europe/Atlantis'"))
    handle = await lane.approved()
    status = await lane.in_need(handle)
    assert status.needs[0].step == steps.WINDOW.name
    assert "Europe/Atlantis" in status.needs[0].what
    assert not lane.crew.count(steps.SWAP)


async def test_without_hours_nothing_is_asked_about_them(lane: LaneOfTests) -> None:
    await lane.result(await lane.approved())
    assert not lane.crew.count(steps.WINDOW)
    assert steps.WINDOW.name not in [
        row.name for row in (await lane.status(lane.client.get_workflow_handle("release-shop"))).rows
    ]
