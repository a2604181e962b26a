"""Runs as tests number them: epochs as Temporal's clock gives them, told apart by the small number that each one adds."""

import re

_FIRST = 1_700_000_000_000
_NAME = re.compile(r"-(new|old|back|gone|fence)-(\d+)")


def epoch_of(number: int) -> int:
    return _FIRST + number


def in_full(name: str) -> str:
    """`shop-old-10` as the container of run 10 is named."""
    return _NAME.sub(lambda found: f"-{found[1]}-{epoch_of(int(found[2]))}", name)


def in_short(name: str) -> str:
    """The same backwards, for tests to be read; a name without an epoch of such a run is left as it is."""
    return _NAME.sub(lambda found: f"-{found[1]}-{_number(int(found[2]))}", name)


def _number(epoch: int) -> int:
    return epoch - _FIRST if epoch >= _FIRST else epoch
