"""How long production is watched after a release, what breaks that watch, and whether anything could."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from pydantic import Field

from runbook.span import Span, SpanOrNone, spoken
from runbook.table import Table

LONGEST_LOOK: Final = timedelta(seconds=5)
"""A look that has no answer by then has failed; the next one begins after it, whatever `every` says."""


class SoakTable(Table):
    """How long production is watched after the release, and what breaks it: so many failures in so long."""

    lasts: SpanOrNone = timedelta(minutes=10)
    every: Span = timedelta(seconds=5)
    failures: int = Field(default=3, ge=1)
    within: Span = timedelta(minutes=1)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Why these figures would let a service pass that is down for the whole soak, each with its key.

        For whoever reads the file: a plan in history is past that.
        """
        if not self.lasts:
            return
        slowest = max(self.every, LONGEST_LOOK)
        # As many as have all their pauses in less than `within`: at exactly `within` the first one is just too old.
        if (most := -(-self.within // slowest)) < self.failures:
            yield "within", self._too_few(most, slowest, self.within)
        if (most := self.lasts // self.every + 1) < self.failures:
            yield "lasts", self._too_few(most, self.every, self.lasts)

    def _too_few(self, most: int, pace: timedelta, span: timedelta) -> str:
        return (
            f"at a look every {spoken(pace)} at most {most} failure{'s fall' if most > 1 else ' falls'} "
            f"within {spoken(span)}, never {self.failures}: nothing would end the soak; make it longer, "
            "or `every` or `failures` smaller"
        )
