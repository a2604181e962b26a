"""The gate's table of a project's file: who decides, how, until when, and when production may change."""

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from runbook.identifier import HostPath, Line, Person, ZoneName
from runbook.span import Span, SpanOrNone, spoken
from runbook.table import Table

_DAY = timedelta(days=1)


class Day(StrEnum):
    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


def _of_the_zone(moment: Any) -> Any:
    if moment.tzinfo is not None:
        raise ValueError("give it as the clocks of gate.zone show it, without an offset")
    return moment


def _first_moment(value: Any) -> Any:
    day = _whole_day(value)
    return value if day is None else datetime.combine(day, time())


def _last_moment(value: Any) -> Any:
    day = _whole_day(value)
    return value if day is None or day == date.max else datetime.combine(day, time()) + _DAY


def _whole_day(value: Any) -> date | None:
    if isinstance(value, str) and len(value) == len("2026-12-20"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _of_our_time(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 2200:
        raise ValueError(f"the year {moment.year} is not one to plan for")
    return moment


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a time of day: write it like 09:00")  # noqa: TRY004 - pydantic's way
    return value


Clock = Annotated[
    time,
    AfterValidator(_of_the_zone),
    BeforeValidator(_no_number),
    WithJsonSchema({"type": "string", "examples": ["09:00", "16:30"]}),
]
Moment = Annotated[
    datetime,
    AfterValidator(_of_the_zone),
    AfterValidator(_of_our_time),
    WithJsonSchema({"type": "string", "examples": ["2026-12-20", "2027-01-04T08:00"]}),
]


class WindowTable(Table):
    """A window on each of its days, by the clocks of `zone`; one that ends at or before its begin ends the next day."""

    model_config = ConfigDict(populate_by_name=True)

    days: list[Day] = Field(default=list(Day), min_length=1)
    from_: Clock = Field(default=time(), alias="from")
    to: Clock = Field(default=time())

    def on(self, day: date) -> tuple[datetime, datetime]:
        """Begin and end of the window that this day would have, as clocks show them."""
        begin, end = datetime.combine(day, self.from_), datetime.combine(day, self.to)
        return begin, end if end > begin else end + _DAY

    def __str__(self) -> str:
        days = "every day" if len(set(self.days)) == len(Day) else " ".join(self.days)
        return f"{days} {self.from_:%H:%M}-{self.to:%H:%M}"

    def covers(self, shown: datetime) -> bool:
        """Whether it is open when the clocks show this."""
        for day in (shown.date(), shown.date() - _DAY):
            begin, end = self.on(day)
            if list(Day)[day.weekday()] in self.days and begin <= shown < end:
                return True
        return False


class FreezeTable(Table):
    """Nothing is promoted meanwhile, whatever the windows say. A day without an hour is the whole day."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[Moment, BeforeValidator(_first_moment)] = Field(alias="from")
    to: Annotated[Moment, BeforeValidator(_last_moment)]
    reason: Line = ""

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.to <= self.from_:
            raise ValueError(f"it ends at {self.to}, before it begins at {self.from_}")
        return self

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.from_:%Y-%m-%d %H:%M} to {self.to:%Y-%m-%d %H:%M}{why}"

    def covers(self, shown: datetime) -> bool:
        """Whether it is in force when the clocks show this."""
        return self.from_ <= shown < self.to


class GateTable(Table):
    approvers: list[Person] = Field(min_length=1)
    approvals: int = Field(default=1, ge=1)
    requester_may_approve: bool = False
    expires_after: Span = timedelta(days=1)
    remind_every: SpanOrNone | None = Field(default=timedelta(hours=4), description="`0s`: never")
    allowed_signers: HostPath | None = Field(
        default=None,
        description="A file on the worker in OpenSSH's format of that name; with it, an approval must be signed",
    )
    zone: ZoneName = Field(default="UTC", description="By whose clocks windows and freezes are, like Europe/Berlin")
    windows: list[WindowTable] = Field(
        default=[], description="Production is changed only in these; at any time when left out"
    )
    freezes: list[FreezeTable] = []

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if len(set(self.approvers)) < self.approvals:
            raise ValueError(f"{self.approvals} approvals are needed but only {len(set(self.approvers))} may approve")
        return self

    @property
    def reminds_every(self) -> timedelta | None:
        """None: reminders are off."""
        return self.remind_every or None

    @property
    def has_hours(self) -> bool:
        """Whether there are times at which production must not be changed."""
        return bool(self.windows or self.freezes)

    def policy(self) -> list[str]:
        """What the table says, in some lines for people."""
        many = "1 approval" if self.approvals == 1 else f"{self.approvals} approvals"
        requester = (
            "also by who asked for the release" if self.requester_may_approve else "not by who asked for the release"
        )
        reminders = f"reminders every {spoken(self.reminds_every)}" if self.reminds_every else "no reminders"
        signed = f"; each signed with a key of {self.allowed_signers}" if self.allowed_signers else ""
        lines = [
            f"{many} of {', '.join(self.approvers)}, {requester}{signed}",
            f"expires after {spoken(self.expires_after)}, {reminders}",
        ]
        if self.windows:
            lines.append(f"production changes only {'; '.join(map(str, self.windows))}, {self.zone}")
        if self.freezes:
            lines.append(f"and not from {'; '.join(map(str, self.freezes))}, {self.zone}")
        return lines
