"""What hosts ran before, taken together; where they return to when a release before this one was cut short."""

import pytest

from runbook.plan import GoodVersion
from runbook.service import WayBack
from runbook.way_back import RanBefore, before_first, common, lines_of
from tests.projects import DIGEST, OLD_DIGEST

GOOD = GoodVersion(version="1.3.0", digest=OLD_DIGEST, released_at="2026-01-01T00:00:00Z")


def way_back(host: str, digest: str | None, version: str | None) -> WayBack:
    return WayBack(host=host, container_id=f"{host}-container", digest=digest, version=version)


def test_hosts_that_ran_the_same_return_to_what_each_ran() -> None:
    ways = [way_back("a", DIGEST, "1.4.0"), way_back("b", DIGEST, "1.4.0")]
    assert common(ways, GOOD) == ways


def test_a_mixed_fleet_returns_to_the_last_good_version_everywhere() -> None:
    ways = [way_back("a", DIGEST, "1.4.0"), way_back("b", OLD_DIGEST, "1.3.0"), way_back("c", None, None)]
    found = common(ways, GOOD)
    assert [(each.host, each.digest, each.version) for each in found] == [
        ("a", OLD_DIGEST, "1.3.0"),
        ("b", OLD_DIGEST, "1.3.0"),
        ("c", OLD_DIGEST, "1.3.0"),
    ]
    assert found[1].container_id == "b-container", "what already is the good version is kept as it is"
    assert found[0].container_id is None, "another version's container is not started for it"


def test_without_a_last_good_version_each_returns_to_what_it_ran() -> None:
    ways = [way_back("a", DIGEST, "1.4.0"), way_back("b", OLD_DIGEST, "1.3.0")]
    assert common(ways, None) == ways


def test_what_a_host_ran_is_read_from_the_evidence_of_its_way_back() -> None:
    lines = ["shop (v1.3.0, running) 0123456789ab", *lines_of("1.3.0", OLD_DIGEST)]
    assert RanBefore.read(lines) == RanBefore(version="1.3.0", digest=OLD_DIGEST)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [f"digest: {OLD_DIGEST}"],
        ["version: 1.3.0"],
        lines_of(None, OLD_DIGEST),
        lines_of("1.3.0", None),
        lines_of("1.3.0", OLD_DIGEST[:-1]),
        lines_of("latest", OLD_DIGEST),
        [f"shop (version: 1.3.0) digest: {OLD_DIGEST}"],
    ],
)
def test_what_is_not_told_whole_is_not_known(lines: list[str]) -> None:
    assert RanBefore.read(lines) is None


def test_before_the_first_release_is_what_all_hosts_ran() -> None:
    same = [way_back(host, OLD_DIGEST, "1.3.0") for host in ("a", "b")]
    assert before_first(same, None) == RanBefore(version="1.3.0", digest=OLD_DIGEST)
    assert before_first(same, GOOD) is None, "it is not the first"


@pytest.mark.parametrize(
    "other", [("1.4.0", OLD_DIGEST), ("1.3.0", DIGEST), (None, OLD_DIGEST), ("1.3.0", None), (None, None)]
)
def test_hosts_that_ran_different_ones_or_nothing_known_have_nothing_before(
    other: tuple[str | None, str | None],
) -> None:
    assert before_first([way_back("a", OLD_DIGEST, "1.3.0"), way_back("b", other[1], other[0])], None) is None
