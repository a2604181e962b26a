"""Lengths of time as people write them in a project's file: `90s`, `5m`, `2h`, `7d`, or a number of seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)")
LONGEST = timedelta(days=60)


def _read(value: Any) -> Any:
    if isinstance(value, str) and (written := _WRITTEN.fullmatch(value.strip())):
        return timedelta(seconds=float(written[1]) * _UNITS[written[2]])
    if isinstance(value, str) and not value.startswith("P"):
        raise ValueError(f"{value[:40]!r} is not a length of time: write it like 90s, 5m, 2h or 7d")
    return value


_SCHEMA = {"anyOf": [{"type": "string", "examples": ["90s", "5m", "2h", "7d"]}, {"type": "number"}]}

Span = Annotated[timedelta, BeforeValidator(_read), Field(gt=timedelta(0), le=LONGEST), WithJsonSchema(_SCHEMA)]
SpanOrNone = Annotated[timedelta, BeforeValidator(_read), Field(ge=timedelta(0), le=LONGEST), WithJsonSchema(_SCHEMA)]


def spoken(length: timedelta) -> str:
    """The shortest way to say it: `90 s`, `5 min`, `2 h`, `7 d`."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{round(seconds, 3):.10g} s"
