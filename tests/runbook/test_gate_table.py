"""The gate's table: hours by the clocks of one zone, and reminders that can be switched off."""

import tomllib
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from runbook.gate_table import Day, FreezeTable, GateTable, WindowTable

MONDAY = date(2026, 11, 23)
OFFICE = {"days": ["mon", "tue"], "from": "09:00", "to": "16:30"}


def gate(**keys: Any) -> GateTable:
    return GateTable.model_validate({"approvers": ["alice", "bob"], **keys})


def at(clock: str, days: int = 0) -> datetime:
    return datetime.fromisoformat(f"{MONDAY + timedelta(days=days)}T{clock}")


@pytest.mark.parametrize(
    ("shown", "covered"),
    [
        (at("08:59:59"), False),
        (at("09:00"), True),
        (at("16:29:59"), True),
        (at("16:30"), False),
        (at("12:00", days=1), True),
        (at("12:00", days=2), False),
    ],
)
def test_a_window_covers_its_days_from_the_first_minute_to_before_the_last(shown: datetime, covered: bool) -> None:
    assert WindowTable.model_validate(OFFICE).covers(shown) is covered


@pytest.mark.parametrize(
    ("shown", "covered"),
    [
        (at("21:59"), False),
        (at("22:00"), True),
        (at("05:59", days=1), True),
        (at("06:00", days=1), False),
        (at("05:00"), False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(shown: datetime, covered: bool) -> None:
    night = WindowTable.model_validate({"days": ["mon"], "from": "22:00", "to": "06:00"})
    assert night.covers(shown) is covered


def test_a_window_without_hours_is_the_whole_day() -> None:
    workdays = WindowTable(days=[Day.MONDAY])
    assert workdays.covers(at("00:00"))
    assert workdays.covers(at("23:59"))
    assert not workdays.covers(at("00:00", days=1))


def test_a_freeze_of_days_covers_the_last_day_too() -> None:
    freeze = FreezeTable.model_validate({"from": "2026-12-20", "to": "2027-01-04"})
    assert freeze.covers(datetime.fromisoformat("2027-01-04T23:59"))
    assert not freeze.covers(datetime.fromisoformat("2027-01-05T00:00"))
    assert not freeze.covers(datetime.fromisoformat("2026-12-19T23:59"))


def test_toml_s_own_times_and_days_are_understood_as_well() -> None:
    table = tomllib.loads(
        'approvers = ["alice"]\n[[windows]]\nfrom = 09:00:00\nto = 16:30:00\n'
        "[[freezes]]\nfrom = 2026-12-20\nto = 2027-01-04T08:00:00\n"
    )
    read = GateTable.model_validate(table)
    assert read.windows[0].on(MONDAY) == (at("09:00"), at("16:30"))
    assert read.freezes[0].to == datetime.fromisoformat("2027-01-04T08:00")


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"windows": [{"from": "09:00+02:00"}]}, "without an offset"),
        ({"windows": [{"from": 9}]}, "not a time of day"),
        ({"windows": [{"days": []}]}, "at least 1"),
        ({"windows": [{"days": ["monday"]}]}, "'mon'"),
        ({"windows": [{"until": "09:00"}]}, "Extra inputs"),
        ({"freezes": [{"from": "2026-12-20", "to": "2026-12-19"}]}, "before it begins"),
        ({"freezes": [{"from": "2026-12-20T00:00Z", "to": "2026-12-21"}]}, "without an offset"),
        ({"freezes": [{"from": "2026-12-20", "to": "9999-12-31"}]}, "9999 is not one to plan for"),
        ({"zone": "../../etc/passwd"}, "time zone's name"),
        ({"allowed_signers": "signers"}, "absolute path"),
        ({"approvals": 3}, "only 2 may approve"),
    ],
)
def test_what_says_nothing_clear_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        gate(**keys)


def test_the_table_comes_back_from_history_as_it_was() -> None:
    table = gate(zone="Europe/Berlin", windows=[OFFICE], freezes=[{"from": "2026-12-20", "to": "2027-01-04"}])
    converter = pydantic_data_converter.payload_converter
    assert converter.from_payloads(converter.to_payloads([table]), [GateTable]) == [table]


def test_reminders_are_switched_off_by_no_time() -> None:
    assert gate(remind_every="0s").reminds_every is None
    assert gate().reminds_every == timedelta(hours=4)


def test_only_windows_or_freezes_make_hours() -> None:
    assert not gate(zone="Europe/Berlin").has_hours
    assert gate(windows=[OFFICE]).has_hours
    assert gate(freezes=[{"from": "2026-12-20", "to": "2027-01-04"}]).has_hours
