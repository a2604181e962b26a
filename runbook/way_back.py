"""What hosts ran before a release, taken together: what all of them ran, and one way back for all."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import ValidationError

from runbook.identifier import Digest, Version
from runbook.message import Message
from runbook.plan import GoodVersion
from runbook.service import WayBack

_VERSION, _DIGEST = "version: ", "digest: "


class RanBefore(Message):
    """What ran before a release, so exactly that it can be returned to by name: the version, and the very bytes."""

    version: Version
    digest: Digest

    @classmethod
    def read(cls, lines: Iterable[str]) -> Self | None:
        """From the evidence in a row of the ledger; None where it does not tell both, as older rows don't."""
        told = {
            name: line.removeprefix(name) for line in lines for name in (_VERSION, _DIGEST) if line.startswith(name)
        }
        return cls.known(told.get(_VERSION), told.get(_DIGEST))

    @classmethod
    def known(cls, version: str | None, digest: str | None) -> Self | None:
        try:
            return cls.model_validate({"version": version, "digest": digest})
        except ValidationError:
            return None


def lines_of(version: str | None, digest: str | None) -> list[str]:
    """What `RanBefore.read` reads: in the evidence of a way back, and so in the ledger."""
    return [f"{_DIGEST}{digest or 'none known'}", f"{_VERSION}{version or 'none known'}"]


def agreed(ran: Iterable[RanBefore | None]) -> RanBefore | None:
    """What every host ran; None where they differ, or it is not known of one."""
    found = set(ran)
    return found.pop() if len(found) == 1 else None


def before_first(ways_back: Iterable[WayBack], last_good: GoodVersion | None) -> RanBefore | None:
    """What every host ran where nothing was released before."""
    if last_good is not None:
        return None
    return agreed(RanBefore.known(way_back.version, way_back.digest) for way_back in ways_back)


def common(ways_back: Sequence[WayBack], last_good: GoodVersion | None) -> list[WayBack]:
    """The recorded ways back where all hosts ran the same; otherwise every host's way to the last good version.

    A fleet that a cut-short release left mixed is not returned to that mixture. Without a last good version there is
    nothing better than what each host ran.
    """
    if last_good is None or len({way_back.digest for way_back in ways_back}) <= 1:
        return list(ways_back)
    return [_to(way_back, last_good) for way_back in ways_back]


def _to(way_back: WayBack, good: GoodVersion) -> WayBack:
    if way_back.digest == good.digest:
        return way_back
    summary = f"{way_back.host} ran {way_back.version or 'nothing known'}, others did not: back to {good.version}"
    return WayBack(summary=summary, host=way_back.host, digest=good.digest, version=good.version)
