"""Release windows by the clocks of a zone: through weekends, freezes and both changes of the clocks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.errors import Refused
from activities.window import WindowActivities, release_window
from runbook.gate_table import GateTable
from runbook.message import ReleaseRef
from runbook.window import ReleaseWindow, WindowToCheck
from tests.activities.performing import perform

WORKDAYS = ["mon", "tue", "wed", "thu"]
OFFICE = {"days": WORKDAYS, "from": "09:00", "to": "16:00"}


def policy(**keys: Any) -> GateTable:
    return GateTable.model_validate({"approvers": ["alice"], "zone": "Europe/Berlin", **keys})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def asked(at: str, **keys: Any) -> ReleaseWindow:
    return release_window(policy(**keys), utc(at))


def test_inside_a_window_it_is_open_and_says_until_when() -> None:
    found = asked("2026-11-23T10:00", windows=[OFFICE])
    assert found.is_open
    assert found.closes == utc("2026-11-23T15:00")
    assert found.summary == "open until Mon 2026-11-23 16:00 Europe/Berlin"


def test_over_the_weekend_it_opens_on_monday_by_the_zone_s_clock() -> None:
    found = asked("2026-11-19T15:00", windows=[OFFICE])
    assert not found.is_open
    assert (found.opens, found.closes) == (utc("2026-11-23T08:00"), utc("2026-11-23T15:00"))
    assert "opens Mon 2026-11-23 09:00 Europe/Berlin until Mon 2026-11-23 16:00" in found.why


def test_without_windows_it_is_open_for_ever() -> None:
    found = asked("2026-11-23T03:00")
    assert found.is_open
    assert found.closes is None


def test_a_freeze_wins_over_a_window_and_says_its_reason() -> None:
    freeze = {"from": "2026-12-20", "to": "2027-01-04T10:00", "reason": "year's end"}
    found = asked("2026-12-22T10:00", windows=[OFFICE], freezes=[freeze])
    assert not found.is_open
    assert found.opens == utc("2027-01-04T09:00")
    assert found.why.startswith("frozen: year's end; opens Mon 2027-01-04 10:00")


def test_a_freeze_that_ends_at_night_opens_with_the_next_window() -> None:
    freeze = {"from": "2026-12-20", "to": "2027-01-02", "reason": ""}
    assert asked("2026-12-22T10:00", windows=[OFFICE], freezes=[freeze]).opens == utc("2027-01-04T08:00")


def test_two_freezes_in_a_row_are_both_waited_out() -> None:
    freezes = [{"from": "2026-12-20", "to": "2026-12-26"}, {"from": "2026-12-27", "to": "2027-02-27"}]
    assert asked("2026-12-22T10:00", freezes=freezes).opens == utc("2027-02-27T23:00")


def test_a_freeze_to_come_is_when_it_closes() -> None:
    found = asked("2026-11-23T10:00", freezes=[{"from": "2026-12-20", "to": "2027-01-04"}])
    assert found.is_open
    assert found.closes == utc("2026-12-19T23:00")


def test_a_freeze_of_a_century_is_waited_out_too() -> None:
    found = asked("2026-11-23T10:00", windows=[OFFICE], freezes=[{"from": "2026-01-01", "to": "2125-12-31"}])
    assert not found.is_open
    assert found.opens == utc("2126-01-01T08:00")


def test_when_clocks_go_forward_a_window_of_the_lost_hour_opens_with_the_jump() -> None:
    night = {"from": "02:30", "to": "04:00"}
    found = asked("2027-03-28T00:10", windows=[night])
    assert not found.is_open
    assert found.opens == utc("2027-03-28T01:00")
    assert found.closes == utc("2027-03-28T02:00")


def test_a_window_that_lies_in_the_lost_hour_does_not_come_that_day() -> None:
    lost = {"from": "02:15", "to": "02:45"}
    assert asked("2027-03-28T00:10", windows=[lost]).opens == utc("2027-03-29T00:15")


def test_when_clocks_go_back_the_hour_that_comes_twice_is_open_twice() -> None:
    night = {"from": "02:15", "to": "02:45"}
    first = asked("2026-10-25T00:20", windows=[night])
    assert first.is_open
    assert first.closes == utc("2026-10-25T00:45")
    assert asked("2026-10-25T00:50", windows=[night]).opens == utc("2026-10-25T01:15")


def test_the_same_clock_is_another_moment_in_summer_and_in_winter() -> None:
    assert asked("2026-10-24T23:00", windows=[{"from": "09:00", "to": "10:00"}]).opens == utc("2026-10-25T08:00")
    assert asked("2026-10-23T23:00", windows=[{"from": "09:00", "to": "10:00"}]).opens == utc("2026-10-24T07:00")


def test_a_zone_whose_offset_has_a_half_hour_is_right_too() -> None:
    found = asked("2026-11-23T00:00", zone="Australia/Lord_Howe", windows=[{"from": "12:10", "to": "12:20"}])
    assert found.opens == utc("2026-11-23T01:10")


@settings(max_examples=60, deadline=None)
@given(
    at=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31)),  # noqa: DTZ001 - made UTC below
    window=st.tuples(st.integers(0, 95), st.integers(0, 95)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "UTC", "Asia/Kathmandu", "America/Santiago"]),
)
def test_between_two_changes_nothing_changes(at: datetime, window: tuple[int, int], zone: str) -> None:
    begin, end = (f"{quarter // 4:02}:{quarter % 4 * 15:02}" for quarter in window)
    table = policy(zone=zone, windows=[{"days": ["mon", "sat"], "from": begin, "to": end}])
    start = at.replace(tzinfo=UTC)
    found = release_window(table, start)
    change = found.closes if found.is_open else found.opens
    assert change is not None
    looks = [start + timedelta(minutes=7) * number for number in range(2000)]
    before = [look for look in looks if look < change]
    assert {release_window(table, look).is_open for look in before[:: max(1, len(before) // 8)]} == {found.is_open}
    assert release_window(table, change).is_open is not found.is_open


async def test_the_step_answers_about_the_moment_in_its_order() -> None:
    ref = ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
    )
    order = WindowToCheck(ref=ref, policy=policy(windows=[OFFICE]), at=utc("2026-11-23T10:00"))
    assert (await perform(WindowActivities().check, order)).is_open


def test_an_unknown_zone_is_refused_by_its_name() -> None:
    with pytest.raises(Refused, match="no time zone 'Europe/Atlantis'"):
        asked("2026-11-23T10:00", zone="Europe/Atlantis", windows=[OFFICE])
