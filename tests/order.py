"""The order of the tests: two processors are busy all the time when what waits runs beside what works."""

import itertools
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

_HERE = Path(__file__).parent
# One process has them all, from the beginning: a fleet of hosts is so heavy that there is only one.
_HOSTS = "hosts/"
# What waits for real servers most of its time, the longest first.
_WAITS = ("e2e/test_rollback.py", "e2e/test_kills.py", "browser/", "e2e/test_gate_races.py", "e2e/")
# Of the rest, what takes long begins first, or all the others wait for it at the end.
_LONG = ("test_worker.py", "test_starter.py", "workflows/", "activities/")
# The last that waits begins when so much of the rest has begun.
_SPREAD = 0.7


def ordered(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files stay whole; those that wait are spread over the others."""
    hosts = [item for item in items if _file(item).startswith(_HOSTS)]
    waiting = _files([item for item in items if _file(item).startswith(_WAITS)], _WAITS)
    working = _files([item for item in items if not _file(item).startswith((_HOSTS, *_WAITS))], _LONG)
    every = max(1, int(_SPREAD * len(working) / max(1, len(waiting))))
    order = [hosts]
    while working or waiting:
        order += [*waiting[:1], *working[:every]]
        del waiting[:1], working[:every]
    return list(itertools.chain.from_iterable(order))


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole files share a process, and what they start there; so do all tests of hosts."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "hosts" if f"/{_HOSTS}" in file else file


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).as_posix()


def _files(items: list[pytest.Item], first: tuple[str, ...]) -> list[list[pytest.Item]]:
    def rank(item: pytest.Item) -> int:
        return next((number for number, start in enumerate(first) if _file(item).startswith(start)), len(first))

    return [list(file) for _, file in itertools.groupby(sorted(items, key=rank), key=_file)]
