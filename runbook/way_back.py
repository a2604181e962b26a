"""One way back for all hosts: a fleet that a cut-short release left mixed is not returned to that mixture."""

from collections.abc import Sequence

from runbook.plan import GoodVersion
from runbook.service import WayBack


def common(ways_back: Sequence[WayBack], last_good: GoodVersion | None) -> list[WayBack]:
    """The recorded ways back where all hosts ran the same; otherwise every host's way to the last good version.

    Without a last good version there is nothing better than what each host ran.
    """
    if last_good is None or len({way_back.digest for way_back in ways_back}) <= 1:
        return list(ways_back)
    return [_to(way_back, last_good) for way_back in ways_back]


def _to(way_back: WayBack, good: GoodVersion) -> WayBack:
    if way_back.digest == good.digest:
        return way_back
    summary = f"{way_back.host} ran {way_back.version or 'nothing known'}, others did not: back to {good.version}"
    return WayBack(summary=summary, host=way_back.host, digest=good.digest, version=good.version)
