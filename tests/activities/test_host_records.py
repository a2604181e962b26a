"""What each host was left with, as the ledger's rows tell it: only by changes that ended well."""

import itertools

import pytest

from activities.clients.ledger_table import Row
from activities.host_records import HostRecords
from tests.projects import DIGEST, OLD_DIGEST
from tests.workflows.findings import host_state_of

LANE, CHILD = "release-shop", "release-shop-rollback"
_numbers = itertools.count(1)


def row(action: str, outcome: str, release: str, **more: object) -> Row:
    given = {"version": "1.4.0", "workflow": LANE, "place": "", "detail": "", "evidence": [], "digest": ""}
    number = next(_numbers)
    fixed = {"seq": number, "event": f"{number}", "at": f"at {number}", "project": "shop", "actor": "worker"}
    return Row(**{**fixed, **given, **more}, action=action, outcome=outcome, release=release, previous="")  # type: ignore[arg-type]  # typed by the class


def records(release: str, *hosts: str, **more: object) -> list[Row]:
    return [
        row(
            "record-host",
            "done",
            release,
            place=host,
            evidence=host_state_of(host, container_id=f"{release}-{host}", digest=DIGEST).lines,
            **more,
        )
        for host in hosts
    ]


def released(release: str, version: str, *hosts: str, digest: str = DIGEST) -> list[Row]:
    return [
        *records(release, *hosts, version=version),
        row("outcome", "released", release, version=version, digest=digest),
    ]


def containers(known: HostRecords) -> dict[str, str | None]:
    return {record.host: record.container_id for record in known.records}


def test_a_release_s_records_count_once_it_is_released() -> None:
    assert HostRecords(records("r1", "one", "two")).records == []
    known = HostRecords(released("r1", "1.4.0", "one", "two"))
    assert (known.version, known.digest) == ("1.4.0", DIGEST)
    assert containers(known) == {"one": "r1-one", "two": "r1-two"}


@pytest.mark.parametrize("outcome", ["aborted", "rejected", "expired", "rolled_back"])
def test_the_records_of_a_release_that_did_not_end_well_are_none(outcome: str) -> None:
    broken = [*records("r2", "one", version="1.5.0"), row("outcome", outcome, "r2", version="1.5.0", digest=OLD_DIGEST)]
    known = HostRecords([*released("r1", "1.4.0", "one", "two"), *broken])
    assert (known.version, containers(known)["one"]) == ("1.4.0", "r1-one")


def test_a_host_that_the_last_release_could_not_record_has_no_record_of_an_earlier_one() -> None:
    known = HostRecords([*released("r1", "1.4.0", "one", "two"), *released("r2", "1.5.0", "one")])
    assert containers(known) == {"one": "r2-one"}


def test_a_rollback_that_a_release_started_changes_the_records_of_the_hosts_it_reached() -> None:
    rollback = [*records("b", "one", workflow=CHILD), row("outcome", "rolled_back", "b", workflow=CHILD)]
    known = HostRecords(
        [*released("r1", "1.4.0", "one", "two"), *rollback, row("outcome", "rolled_back", "r2", digest=OLD_DIGEST)]
    )
    assert (known.version, known.digest) == ("1.4.0", DIGEST)
    assert containers(known) == {"one": "b-one", "two": "r1-two"}


def test_a_rollback_by_hand_is_what_is_compared_with_from_then_on() -> None:
    by_hand = [
        row("plan-rollback", "done", "b"),
        *records("b", "one", version="1.3.0"),
        row("outcome", "rolled_back", "b", version="1.3.0", digest=OLD_DIGEST),
    ]
    known = HostRecords([*released("r1", "1.4.0", "one", "two"), *by_hand])
    assert (known.version, known.digest, containers(known)) == ("1.3.0", OLD_DIGEST, {"one": "b-one"})


def test_a_rollback_that_was_given_up_leaves_the_records_as_they_were() -> None:
    given_up = [*records("b", "one", workflow=CHILD), row("outcome", "aborted", "b", workflow=CHILD)]
    assert containers(HostRecords([*released("r1", "1.4.0", "one"), *given_up])) == {"one": "r1-one"}


def test_drift_stands_from_the_row_that_found_it_to_the_one_that_says_it_is_gone() -> None:
    found = row("host-drift", "found", "d1", place="one", evidence=["one/not-up/exited"], detail="exited")
    known = HostRecords([found])
    [standing] = known.standing
    assert (standing.key, standing.host, standing.what, standing.since) == (
        "one/not-up/exited",
        "one",
        "exited",
        found.at,
    )
    assert known.told == 1
    gone = HostRecords([found, row("host-drift", "gone", "d2", place="one", evidence=["one/not-up/exited"])])
    assert (gone.standing, gone.told) == ([], 2)


def test_drift_that_nobody_was_told_of_does_not_stand() -> None:
    known = HostRecords([row("host-drift", "untold", "d1", place="one", evidence=["one/not-up/exited"])])
    assert (known.standing, known.told) == ([], 0)


def test_messages_that_called_themselves_like_a_step_change_nothing() -> None:
    """Earlier versions kept a refused message under the name that its sender had given it."""
    sent = [row(action, "refused", "r2", version="1.5.0") for action in ("plan-rollback", "record-host", "outcome")]
    failed = row("outcome", "rolled_back", "r2", version="1.5.0", digest=OLD_DIGEST)
    known = HostRecords([*released("r1", "1.4.0", "one"), *sent, failed])
    assert (known.version, containers(known)) == ("1.4.0", {"one": "r1-one"})
    kept = HostRecords([*records("r1", "one"), row("outcome", "refused", "r1"), *released("r1", "1.4.0")])
    assert containers(kept) == {"one": "r1-one"}


def test_a_row_that_is_no_record_is_left_out() -> None:
    broken = row("record-host", "done", "r1", place="one", evidence=["nothing"])
    failed = row("record-host", "failed", "r1", place="two", evidence=host_state_of("two").lines)
    assert HostRecords([broken, failed, *released("r1", "1.4.0")]).records == []
