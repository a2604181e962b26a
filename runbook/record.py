"""Messages about what is kept: notices to people, ledger entries, the forge's release, the postmortem."""

from datetime import datetime, timedelta
from typing import Literal

from runbook.identifier import Commit
from runbook.image import Image
from runbook.message import Finding, Message, Order, ReleaseRef
from runbook.plan import Plan
from runbook.project import ForgeTable, NotifyTable, ProjectTable
from runbook.service import WayBack


class NoticeToSend(Order):
    """`key` makes the notice the same one however often it is tried. `people` are those of `to` whom it concerns.

    With `once` it is the same one for every run of the project that sends it.
    """

    notify: NotifyTable
    to: Literal["on_call", "approvers"]
    people: list[str] = []
    key: str
    once: str = ""
    title: str
    body: str


class ReminderToSend(NoticeToSend):
    """The same notice again `every` so often after `since`, before `until`; each is numbered from 1 behind `key`."""

    since: datetime
    every: timedelta
    until: datetime | None = None

    def due(self, at: datetime) -> NoticeToSend | None:
        """The newest whose time has come; those that nobody sent in time are not made up for."""
        number = self._number(at)
        if number < 1 or (self.until is not None and at >= self.until):
            return None
        fields = self.model_dump(include=set(NoticeToSend.model_fields))
        return NoticeToSend.model_validate({**fields, "key": f"{self.key}/{number}"})

    def until_next(self, at: datetime) -> timedelta:
        return self.since + (self._number(at) + 1) * self.every - at

    def _number(self, at: datetime) -> int:
        return (at - self.since) // self.every


class SentNotice(Finding):
    """`notice` is the notification's id, written in the notice itself."""

    notice: str


class Entry(Message):
    """One row to be: who did what, where, with which outcome, on what evidence. `event` is unique for ever."""

    event: str
    actor: str
    action: str
    place: str = ""
    outcome: str
    detail: str = ""
    evidence: list[str] = []
    version: str = ""
    digest: str = ""


class EntriesToKeep(Order):
    entries: list[Entry]


class KeptEntries(Finding):
    """`head` identifies the ledger's newest row."""

    head: str


class ReleaseToRecord(Order):
    project: ProjectTable
    forge: ForgeTable
    tag: str
    commit: Commit
    image: Image
    approvers: list[str]
    changelog: str
    downtime: list[str] = []


class RecordedRelease(Finding):
    release: int
    url: str


class PostmortemToOpen(Order):
    """`failed` is the release that was rolled back, by whose run its rows in the ledger are known; None by hand."""

    project: ProjectTable
    forge: ForgeTable
    reason: str
    timeline: list[str]
    evidence: list[str]
    failed: ReleaseRef | None = None


class FailedRelease(Message):
    """A release that hands production back: what it touched, and the way back of each host, recorded beforehand."""

    failed: ReleaseRef
    plan: Plan
    ways_back: list[WayBack]
    reason: str
    asked_by: str = ""
    timeline: list[str] = []
    evidence: list[str] = []


class OpenedPostmortem(Finding):
    issue: int
    url: str
