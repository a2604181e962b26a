import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.clients.ledger import Ledger
from activities.clients.notifier import Notifier
from activities.errors import NotYet, Refused, StepError, Unreachable
from activities.heartbeat import ended
from activities.notices import NoticeActivities, addressed, notice_id
from runbook.message import ReleaseRef
from runbook.record import NoticeToSend, ReminderToSend
from tests.activities.hook import TOKEN, Hook, hook

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def pager(tmp_path: Path) -> AsyncGenerator[Hook]:
    async with hook() as running:
        (tmp_path / "pager").write_text(running.address)
        yield running


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncGenerator[Hook]:
    async with hook() as running:
        (tmp_path / "chat").write_text(running.address)
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Generator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def group(ledger: Ledger) -> NoticeActivities:
    return NoticeActivities(Notifier(), ledger)


def notice(tmp_path: Path, *on_call: str, release: str = "run", **more: Any) -> NoticeToSend:
    ref = ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release=release, epoch=1, requested_by="alice"
    )
    order = {"ref": ref, "to": "on_call", "key": "window", "title": "shop 1.4.0: window", "body": "alice releases shop"}
    order["notify"] = {"on_call": [f"file:{tmp_path}/{name}" for name in on_call]}
    return NoticeToSend.model_validate(order | more)


async def test_everybody_on_call_is_told_once_with_the_notices_id(
    group: NoticeActivities, tmp_path: Path, pager: Hook, chat: Hook
) -> None:
    order = notice(tmp_path, "pager", "chat", "pager")
    told = await group.on_call(order)
    assert told.notice == notice_id(order)
    assert told.summary == f"on-call told, notice {told.notice}"
    assert told.evidence[0] == f"notice {told.notice} to file:{tmp_path}/pager: shop 1.4.0: window"
    for taken in (pager.taken, chat.taken):
        assert [content["title"] for content in taken] == ["shop 1.4.0: window"]
        assert taken[0]["message"] == f"alice releases shop\n\nnotice {told.notice} of release-shop"


async def test_approvers_are_told_at_their_own_address_and_only_who_has_to_decide(
    group: NoticeActivities, tmp_path: Path, pager: Hook, chat: Hook
) -> None:
    people = {"alice": f"file:{tmp_path}/pager", "bob": f"file:{tmp_path}/chat"}
    notify = {"on_call": [f"file:{tmp_path}/nowhere"], "people": people}
    told: dict[str, Any] = {"to": "approvers", "notify": notify}
    await group.tell(notice(tmp_path, **told, people=["alice", "bob"], key="gate/0"))
    await group.tell(notice(tmp_path, **told, people=["bob"], key="gate/1"))
    assert (len(pager.taken), len(chat.taken)) == (1, 2)


def reminder(notice: NoticeToSend, **more: Any) -> ReminderToSend:
    told: dict[str, Any] = {"since": NOON, "every": timedelta(hours=4), **more}
    return ReminderToSend.model_validate({**notice.model_dump(), **told})


async def reminded(group: NoticeActivities, order: ReminderToSend, after: timedelta) -> StepError:
    """How the look ended that Temporal asked for so long after the first notice."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(ActivityEnvironment.default_info(), started_time=NOON + after)
    with pytest.raises(StepError) as ended:
        await environment.run(group.remind, order)
    return ended.value


async def test_a_reminder_is_sent_when_it_is_due_and_once(group: NoticeActivities, tmp_path: Path, pager: Hook) -> None:
    order = reminder(notice(tmp_path, "pager", key="gate"), until=NOON + timedelta(days=1))
    for hours, sent, left in ((0, 0, 4), (3, 0, 1), (4, 1, 4), (5, 1, 3), (8.5, 2, 3.5), (16, 3, 4), (24, 3, 4)):
        ended = await reminded(group, order, timedelta(hours=hours))
        assert isinstance(ended, NotYet)
        assert (len(pager.taken), ended.again) == (sent, timedelta(hours=left)), hours
    ids = {taken["message"].partition("notice ")[2] for taken in pager.taken}
    assert len(ids) == 3, "each is a notice of its own"


async def test_a_reminder_that_can_t_be_sent_is_tried_again_before_the_next(
    group: NoticeActivities, tmp_path: Path, pager: Hook
) -> None:
    ended = await reminded(group, reminder(notice(tmp_path, "nowhere", key="gate")), timedelta(hours=4))
    assert isinstance(ended, Unreachable)
    assert ended.again == timedelta(minutes=5)
    late = await reminded(group, reminder(notice(tmp_path, "nowhere", key="gate")), timedelta(hours=7, minutes=59))
    assert late.again == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("people", "addresses"),
    [
        (["alice"], ["env:ALICE"]),
        (["alice", "bob"], ["env:ALICE", "env:ALL"]),
        (["bob"], ["env:ALL"]),
        ([], ["env:ALL"]),
    ],
)
def test_an_approver_without_an_address_is_told_through_everybodys(
    tmp_path: Path, people: list[str], addresses: list[str]
) -> None:
    notify = {"on_call": ["env:ON_CALL"], "approvers": ["env:ALL"], "people": {"alice": "env:ALICE"}}
    order = notice(tmp_path, to="approvers", people=people, notify=notify)
    assert addressed(order) == addresses


async def test_a_second_try_tells_nobody_again(
    group: NoticeActivities, tmp_path: Path, pager: Hook, ledger: Ledger
) -> None:
    first = await group.on_call(notice(tmp_path, "pager"))
    another_worker = NoticeActivities(Notifier(), ledger)
    assert await another_worker.on_call(notice(tmp_path, "pager")) == first
    assert len(pager.taken) == 1
    [row] = await ledger.rows("shop")
    assert (row.action, row.outcome, row.place) == ("notice", "sent", f"file:{tmp_path}/pager")
    assert row.detail == f"{first.notice}: shop 1.4.0: window"


async def test_another_notice_or_another_run_is_told(group: NoticeActivities, tmp_path: Path, pager: Hook) -> None:
    await group.tell(notice(tmp_path, "pager"))
    await group.tell(notice(tmp_path, "pager", key="gate"))
    await group.tell(notice(tmp_path, "pager", release="run-2"))
    assert len({content["message"] for content in pager.taken}) == 3


async def test_one_address_that_fails_does_not_keep_the_others_from_being_told(
    group: NoticeActivities, tmp_path: Path, pager: Hook, chat: Hook
) -> None:
    pager.status = 500
    with pytest.raises(Unreachable, match=f"1 of 2 addresses not told: file:{tmp_path}/pager did not take"):
        await group.on_call(notice(tmp_path, "pager", "chat"))
    assert len(chat.taken) == 1
    pager.status = 200
    await group.on_call(notice(tmp_path, "pager", "chat"))
    assert (len(pager.taken), len(chat.taken)) == (1, 1)


async def test_an_address_that_is_none_is_refused_unless_another_is_worth_a_try(
    group: NoticeActivities, tmp_path: Path, pager: Hook
) -> None:
    (tmp_path / "wrong").write_text(TOKEN)
    with pytest.raises(Refused, match="1 of 2 addresses not told") as caught:
        await group.on_call(notice(tmp_path, "wrong", "pager"))
    assert TOKEN not in f"{caught.value} {caught.value.evidence}"
    assert len(pager.taken) == 1
    pager.status = 503
    with pytest.raises(Unreachable, match="2 of 2 addresses not told"):
        await group.on_call(notice(tmp_path, "wrong", "pager", key="another"))


async def test_approvers_are_told_through_their_own_addresses_or_else_on_calls(
    group: NoticeActivities, tmp_path: Path, pager: Hook, chat: Hook
) -> None:
    both = {"on_call": [f"file:{tmp_path}/pager"], "approvers": [f"file:{tmp_path}/chat"]}
    told = await group.tell(notice(tmp_path, "pager", to="approvers", notify=both))
    assert told.summary.startswith("approvers told")
    assert (len(pager.taken), len(chat.taken)) == (0, 1)
    await group.tell(notice(tmp_path, "pager", to="approvers", key="without"))
    assert (len(pager.taken), len(chat.taken)) == (1, 1)


class Slow:
    """A notifier that has sent only later, also where nobody wants it any more: a thread can't be stopped."""

    def __init__(self) -> None:
        self.asked, self.answer, self.sent = asyncio.Event(), asyncio.Event(), 0

    async def send(self, reference: str, title: str, body: str) -> None:
        self.asked.set()
        await ended(self._sent())

    async def _sent(self) -> None:
        await self.answer.wait()
        self.sent += 1


async def test_a_notice_that_is_under_way_when_its_step_is_cancelled_is_known_as_sent(
    tmp_path: Path, ledger: Ledger
) -> None:
    slow = Slow()
    group = NoticeActivities(slow, ledger)
    telling = asyncio.ensure_future(group.tell(notice(tmp_path, "pager")))
    await slow.asked.wait()
    telling.cancel()
    await asyncio.sleep(0)
    slow.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await telling
    await group.tell(notice(tmp_path, "pager"))
    assert slow.sent == 1


async def test_a_notice_to_many_is_sent_to_no_more_of_them_once_it_is_cancelled(tmp_path: Path, ledger: Ledger) -> None:
    slow = Slow()
    telling = asyncio.ensure_future(NoticeActivities(slow, ledger).tell(notice(tmp_path, "pager", "chat")))
    await slow.asked.wait()
    telling.cancel()
    slow.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert slow.sent == 1


async def test_a_ledger_that_is_away_keeps_the_notice_from_being_sent_twice(tmp_path: Path, pager: Hook) -> None:
    away = Ledger(f"sqlite:///{tmp_path}/no/folder/ledger.db")
    group = NoticeActivities(Notifier(), away)
    with pytest.raises(Unreachable, match="the ledger at"):
        await group.on_call(notice(tmp_path, "pager"))
    away.close()
    assert pager.taken == []


async def test_a_notice_that_is_the_same_for_every_run_goes_out_once(
    group: NoticeActivities, tmp_path: Path, pager: Hook
) -> None:
    first = notice(tmp_path, "pager", once="host-drift/0/production-1/not-up/exited")
    other_run = notice(tmp_path, "pager", release="later", once=first.once)
    assert notice_id(first) == notice_id(other_run)
    for order in (first, other_run):
        await group.tell(order)
    assert len(pager.taken) == 1
    await group.tell(notice(tmp_path, "pager", once="host-drift/2/production-1/not-up/exited"))
    assert len(pager.taken) == 2
