import hashlib

import pytest

from activities.clients.ledger_table import Row
from activities.history import History


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

    `rollback-aborted:1.4.0` is the outcome of the rollback that the release of 1.4.0 started; `swap:1.4.0:2` is of another
    run of the same version.
    """
    return History(told(seq, *word.split(":")) for seq, word in enumerate(story.split(), start=1))


def told(seq: int, what: str, version: str, number: str = "") -> Row:
    run = f"run {number} of {version}"
    kind, _, outcome = what.rpartition("-")
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
        ("released:1.3.0 released:1.4.0 swap:1.3.0 rolled_back:1.3.0", "1.3.0", None),
        ("released:1.2.0 released:1.3.0 released:1.4.0 rolled_back:1.2.0 released:1.5.0", "1.5.0", "1.2.0"),
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
        ("released:1.3.0 released:1.4.0 swap:1.5.0 rolled_back:1.4.0", "1.4.0", "1.3.0"),
        # A row that comes late, of an attempt that was cancelled: its run was put back long ago.
        ("released:1.3.0 released:1.4.0 look:1.5.0 rolled_back:1.5.0 cancelled-swap:1.5.0", "1.4.0", "1.3.0"),
        # By hand down, and up again.
        ("released:1.3.0 released:1.4.0 rolled_back:1.3.0 rolled_back:1.4.0", "1.4.0", "1.3.0"),
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
    read = history("released:1.3.0 released:1.4.0 rolled_back:1.3.0")
    assert read.released("1.4.0") is not None
    assert [good.version for good in read.good_versions] == ["1.4.0", "1.3.0"]


def test_a_release_without_a_digest_is_nowhere_to_go() -> None:
    read = History([row(1, "outcome", "released", "1.3.0", digest="")])
    assert read.last_good is None
    assert read.good_versions == []
