"""Lengths of time, as people write them and as they are said."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runbook.span import LONGEST, Span, SpanOrNone, spoken

SPAN = TypeAdapter[timedelta](Span)
OR_NONE = TypeAdapter[timedelta](SpanOrNone)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("5 min", 300),
        ("2h", 7200),
        ("7d", 604800),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (" 30s ", 30),
        (60, 60),
        (0.5, 0.5),
        ("PT5M", 300),
    ],
)
def test_what_people_write_is_understood(written: Any, seconds: float) -> None:
    assert SPAN.validate_python(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "5", "5 minutes", "-5m", "5x", "m", "five minutes", "5m30s", None, [], "0s", 0, -1]
)
def test_anything_else_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        SPAN.validate_python(written)


def test_no_length_is_taken_only_where_none_may_be_meant() -> None:
    assert OR_NONE.validate_python("0s") == timedelta(0)
    with pytest.raises(ValidationError):
        OR_NONE.validate_python(-1)


def test_the_longest_is_sixty_days() -> None:
    assert SPAN.validate_python("60d") == LONGEST == timedelta(days=60)
    with pytest.raises(ValidationError):
        SPAN.validate_python("60.1d")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (90, "90 s"),
        (300, "5 min"),
        (7200, "2 h"),
        (604800, "7 d"),
        (0.25, "0.25 s"),
        (3600, "1 h"),
        (86401, "86401 s"),
        (1 / 3, "0.333 s"),
    ],
)
def test_it_is_said_the_shortest_way(seconds: float, said: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == said


@given(st.integers(1, 60 * 86400))
def test_what_is_said_means_about_the_same(seconds: int) -> None:
    number, unit = spoken(timedelta(seconds=seconds)).split()
    size = {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=0.005)
