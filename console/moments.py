"""Moments and lengths of time as the starter writes them; always UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any


def clock(moment: datetime | None) -> str:
    """`14:02:11 UTC`, with the date unless it is today's."""
    if moment is None:
        return "-"
    moment = moment.astimezone(UTC)
    today = moment.date() == datetime.now(UTC).date()
    return moment.strftime("%H:%M:%S UTC" if today else "%Y-%m-%d %H:%M:%S UTC")


def ago(moment: datetime | None) -> str:
    return "some time ago" if moment is None else f"{lasting(datetime.now(UTC) - moment)} ago"


def age(moment: datetime | None) -> timedelta | None:
    """In whole seconds."""
    return None if moment is None else timedelta(seconds=max(0, round((datetime.now(UTC) - moment).total_seconds())))


def in_words(value: Any) -> str:
    """For people, what programs get in ISO 8601: a moment, or how long ago one was."""
    match value:
        case datetime():
            return clock(value)
        case timedelta():
            return f"{lasting(value)} ago"
        case None:
            return "-"
        case _:
            return str(value)


def lasting(length: timedelta) -> str:
    """The two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `1 d 3 h`."""
    seconds = max(0, round(length.total_seconds()))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"
