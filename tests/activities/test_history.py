import hashlib
from dataclasses import replace

import pytest

from activities.clients.ledger_table import Row
from activities.history import History
from runbook.way_back import lines_of


def digest_of(version: str) -> str:
    return "sha256:" + hashlib.sha256(version.encode()).hexdigest()


def row(
    seq: int, action: str, outcome: str, version: str, digest: str | None = None, *, run: str = "", lane: str = ""
) -> Row:
    return Row(
        seq=seq,
        event=str(seq),
        at=f"2026-01-01T00:00:{seq:02}+00:00",
        project="shop",
        version=version,
        workflow=lane or "release-shop",
        release=run or f"run of {version}",
        actor="worker",
        action=action,
        place="",
        outcome=outcome,
        detail="",
        evidence=[],
        digest=digest_of(version) if digest is None else digest,
        previous="",
    )


def history(story: str) -> History:
    """Rows as words: `released:1.4.0`, `rolled_back:1.3.0`, `look:1.4.0`, `swap:1.4.0`, `failed-swap:1.4.0`.

    `return:1.3.0` is a rollback by hand, `rollback-aborted:1.4.0` the outcome of the rollback that the release of 1.4.0
    started; `swap:1.4.0:2` is of another run of the same version. `1.3.0,1.2.0,?<1.4.0` are its ways back: what each host
    ran, `?` where that is not known and `old` where a row is as they once were.
    """
    rows: list[Row] = []
    for word in story.split():
        ran, _, release = word.partition("<")
        if release:
            version, _, number = release.partition(":")
            rows += [way_back(len(rows), host, ran, version, number) for host, ran in enumerate(ran.split(","))]
        else:
            rows.append(told(len(rows), *word.split(":")))
    return History(rows)


def way_back(seq: int, host: int, ran: str, version: str, number: str) -> Row:
    evidence = [f"shop ({ran}, running) 0123456789ab"]
    if ran == "old":
        evidence += [f"digest: {digest_of(ran)}"]
    elif ran == "?":
        evidence += lines_of(None, digest_of(ran))
    else:
        evidence += lines_of(ran, digest_of(ran))
    found = row(seq + host, "way-back", "done", version, "", run=f"run {number} of {version}")
    return replace(found, place=f"host-{host}", evidence=evidence)


def told(seq: int, what: str, version: str, number: str = "") -> Row:
    run = f"run {number} of {version}"
    kind, _, outcome = what.rpartition("-")
    if outcome == "return":
        return row(seq, "outcome", "rolled_back", version, run=f"by hand, {seq}")
    if kind == "rollback":
        return row(seq, "outcome", outcome, version, "", run=f"rollback {run}", lane="release-shop-rollback")
    if outcome == "swap":
        return row(seq, "swap", kind or "done", version, "", run=run)
    if outcome == "look":
        return row(seq, "drift", "done", version, "", run=run)
    return row(seq, "outcome", outcome, version, run=run)


@pytest.mark.parametrize(
    ("story", "last_good", "before"),
    [
        ("", None, None),
        ("swap:1.3.0 released:1.3.0", "1.3.0", None),
        ("released:1.3.0 released:1.4.0", "1.4.0", "1.3.0"),
        ("released:1.3.0 rejected:1.4.0 aborted:1.4.1 expired:1.4.2", "1.3.0", None),
        # A release that ended by rolling itself back never was good.
        ("released:1.3.0 released:1.4.0 swap:1.5.0 rolled_back:1.5.0", "1.4.0", "1.3.0"),
        # A rollback by hand takes off what it went below, and the next release stands on what it left.
        ("released:1.3.0 released:1.4.0 swap:1.3.0 return:1.3.0", "1.3.0", None),
        ("released:1.2.0 released:1.3.0 released:1.4.0 return:1.2.0 released:1.5.0", "1.5.0", "1.2.0"),
        # A release that was terminated amid its promotion: back to what was good before it.
        ("released:1.3.0 released:1.4.0 swap:1.5.0", "1.4.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 failed-swap:1.5.0", "1.4.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 cancelled-swap:1.5.0", "1.4.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 released:1.5.0", "1.5.0", "1.4.0"),
        # A worker killed in the first swap leaves no row of it, and the run was terminated then.
        ("released:1.3.0 released:1.4.0 look:1.5.0", "1.4.0", "1.4.0"),
        # Ended between its last look and its first swap: production runs what it ran.
        ("released:1.3.0 released:1.4.0 look:1.5.0 aborted:1.5.0", "1.4.0", "1.3.0"),
        # Aborted amid its promotion, and the rollback was given up: nobody knows what runs.
        ("released:1.3.0 released:1.4.0 swap:1.5.0 rollback-aborted:1.5.0 aborted:1.5.0", "1.4.0", "1.4.0"),
        # The same where the ledger has lost the row of the first swap.
        ("released:1.3.0 released:1.4.0 look:1.5.0 rollback-aborted:1.5.0 aborted:1.5.0", "1.4.0", "1.4.0"),
        # Put back by its own rollback, although the release itself was terminated meanwhile.
        ("released:1.3.0 released:1.4.0 cancelled-swap:1.5.0 rollback-rolled_back:1.5.0", "1.4.0", "1.3.0"),
        # One that ends without having changed anything does not mend what the one before left.
        ("released:1.3.0 released:1.4.0 swap:1.5.0 look:1.6.0 aborted:1.6.0", "1.4.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 look:1.5.0:2 aborted:1.5.0:2", "1.4.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 rejected:1.5.0:2", "1.4.0", "1.4.0"),
        # Nor does one that put back what the one before left; the next that ends well does.
        (
            "released:1.3.0 released:1.4.0 swap:1.5.0 swap:1.5.0:2 rollback-rolled_back:1.5.0:2 rolled_back:1.5.0:2",
            "1.4.0",
            "1.4.0",
        ),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 swap:1.6.0 released:1.6.0", "1.6.0", "1.4.0"),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 return:1.4.0", "1.4.0", "1.3.0"),
        # A row that comes late, of an attempt that was cancelled: its run was put back long ago.
        ("released:1.3.0 released:1.4.0 look:1.5.0 rolled_back:1.5.0 cancelled-swap:1.5.0", "1.4.0", "1.3.0"),
        # By hand down, and up again.
        ("released:1.3.0 released:1.4.0 return:1.3.0 return:1.4.0", "1.4.0", "1.3.0"),
        # A rollback by hand that was terminated: the same way again.
        ("released:1.3.0 released:1.4.0 swap:1.3.0", "1.4.0", "1.3.0"),
        ("released:1.3.0 swap:1.4.0", "1.3.0", "1.3.0"),
        ("swap:1.4.0", None, None),
    ],
)
def test_production_is_where_the_outcomes_say(story: str, last_good: str | None, before: str | None) -> None:
    read = history(story)
    assert (read.last_good and read.last_good.version) == last_good
    assert (read.before and read.before.version) == before


def test_a_rollback_is_known_by_its_image_where_its_row_names_no_version() -> None:
    released = [row(seq, "outcome", "released", version) for seq, version in enumerate(("1.2.0", "1.3.0", "1.4.0"))]
    read = History([*released, row(4, "outcome", "rolled_back", "0.0.0", digest_of("1.2.0"))])
    assert read.last_good is not None
    assert read.last_good.version == "1.2.0"
    assert read.before is None


def test_a_version_that_was_rolled_back_from_can_still_be_named() -> None:
    read = history("released:1.3.0 released:1.4.0 return:1.3.0")
    assert read.released("1.4.0") is not None
    assert [good.version for good in read.good_versions] == ["1.4.0", "1.3.0"]


def test_a_release_without_a_digest_is_nowhere_to_go() -> None:
    read = History([row(1, "outcome", "released", "1.3.0", digest="")])
    assert read.last_good is None
    assert read.good_versions == []


@pytest.mark.parametrize(
    ("story", "before"),
    [
        ("0.9.0,0.9.0<1.0.1 look:1.0.1 swap:1.0.1 released:1.0.1", "0.9.0"),
        # Where there is a good version before, it stays the one; what ran before all can still be named.
        ("0.9.0<1.0.1 look:1.0.1 released:1.0.1 1.0.1<1.0.2 look:1.0.2 released:1.0.2", "1.0.1"),
        ("0.9.0<1.0.1 look:1.0.1 released:1.0.1 1.0.1<1.0.2 look:1.0.2 released:1.0.2 return:1.0.1", "0.9.0"),
        # A first release that was broken off, and one over what it left.
        ("0.9.0,0.9.0<1.0.1 look:1.0.1 swap:1.0.1", "0.9.0"),
        ("0.9.0,0.9.0<1.0.1 swap:1.0.1 1.0.1,0.9.0<1.0.2 look:1.0.2 released:1.0.2", "0.9.0"),
        ("0.9.0,0.9.0<1.0.1 swap:1.0.1 1.0.1,1.0.1<1.0.2 look:1.0.2 released:1.0.2", "0.9.0"),
        # A first release that put back what it found, after which somebody deployed something else by hand.
        ("0.9.0<1.0.1 swap:1.0.1 rolled_back:1.0.1 0.9.5<1.0.2 look:1.0.2 released:1.0.2", "0.9.5"),
        # Returned to, and released over once more.
        ("0.9.0<1.0.1 look:1.0.1 released:1.0.1 return:0.9.0 0.9.0<1.0.2 look:1.0.2 released:1.0.2", "0.9.0"),
        ("0.9.0<1.0.1 look:1.0.1 released:1.0.1 return:0.9.0 return:1.0.1", "0.9.0"),
        # A release of it that was put back is no rollback to it.
        ("0.9.0<1.0.1 look:1.0.1 released:1.0.1 1.0.1<0.9.0 swap:0.9.0 rolled_back:0.9.0", "0.9.0"),
    ],
)
def test_before_the_first_release_production_ran_what_every_host_ran(story: str, before: str) -> None:
    read = history(story)
    assert read.before is not None
    assert (read.before.version, read.before.digest) == (before, digest_of(before))


@pytest.mark.parametrize(
    "story",
    [
        "0.9.0,0.9.1<1.0.1 look:1.0.1 swap:1.0.1 released:1.0.1",
        "0.9.0,?<1.0.1 look:1.0.1 swap:1.0.1 released:1.0.1",
        "old,old<1.0.1 look:1.0.1 swap:1.0.1 released:1.0.1",
        "look:1.0.1 swap:1.0.1 released:1.0.1",
        # By its name nobody could tell it from the one that was released.
        "1.0.1,1.0.1<1.0.1 look:1.0.1 swap:1.0.1 released:1.0.1",
        # Not all ways back were recorded.
        "0.9.0<1.0.1 aborted:1.0.1",
        # It runs already.
        "0.9.0<1.0.1 look:1.0.1 aborted:1.0.1",
        "0.9.0<1.0.1 swap:1.0.1 rolled_back:1.0.1",
        "0.9.0<1.0.1 look:1.0.1 released:1.0.1 return:0.9.0",
    ],
)
def test_what_hosts_ran_before_the_first_release_is_nowhere_to_go_unless_all_are_known_alike(story: str) -> None:
    assert history(story).before is None


def test_what_ran_before_the_first_release_can_be_named_whatever_was_released_since() -> None:
    read = history("0.9.0<1.0.1 look:1.0.1 released:1.0.1 1.0.1<1.0.2 look:1.0.2 released:1.0.2")
    known = read.known("0.9.0")
    assert known is not None
    assert (known.digest, known.released_at, known.approved_by) == (digest_of("0.9.0"), "", [])
    assert read.released("0.9.0") is None
    assert [good.version for good in read.good_versions] == ["1.0.2", "1.0.1"]
    assert read.known("0.8.0") is None
