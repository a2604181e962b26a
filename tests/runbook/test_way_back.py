"""Where hosts return to when a release before this one was cut short."""

from runbook.plan import GoodVersion
from runbook.service import WayBack
from runbook.way_back import common
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
