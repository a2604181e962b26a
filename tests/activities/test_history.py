import hashlib

import pytest

from activities.clients.ledger_table import Row
from activities.history import History


def digest_of(version: str) -> str:
    return "sha256:" + hashlib.sha256(version.encode()).hexdigest()


def row(seq: int, action: str, outcome: str, version: str, digest: str | None = None) -> Row:
    return Row(
        seq=seq,
        event=str(seq),
        at=f"2026-01-01T00:00:{seq:02}+00:00",
        project="shop",
        version=version,
        workflow="release-shop",
        release="run",
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
    """Rows as words: `released:1.4.0`, `rolled_back:1.3.0`, `swap:1.4.0`, `failed-swap:1.4.0`."""
    rows: list[Row] = []
    for seq, word in enumerate(story.split(), start=1):
        what, version = word.split(":")
        if what.endswith("swap"):
            rows.append(row(seq, "swap", "failed" if what.startswith("failed") else "done", version))
        else:
            rows.append(row(seq, "outcome", what, version))
    return History(rows)


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
        ("released:1.3.0 released:1.4.0 failed-swap:1.5.0", "1.4.0", "1.3.0"),
        ("released:1.3.0 released:1.4.0 swap:1.5.0 released:1.5.0", "1.5.0", "1.4.0"),
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
