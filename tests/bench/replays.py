"""What replaying costs, which is what a worker does with a run that it does not remember: see tests/replay_times.py."""

from tests.bench.line import Line
from tests.empty_workflow import EMPTY
from tests.replay_times import fastest, measured

_TIMES = 3
_TYPICAL = "released"


async def lines() -> list[Line]:
    took = {name: fastest(replays) / 1000 for name, replays in (await measured(_TIMES, sandboxed=True)).items()}
    empty = took.pop(EMPTY)
    slowest = max(took, key=took.__getitem__)
    names = {_TYPICAL: "of a release", slowest: "the slowest of all"}
    return [
        Line(f"a history replayed, {why} ({name})", took[name], "an empty workflow replayed", empty)
        for name, why in names.items()
    ]
