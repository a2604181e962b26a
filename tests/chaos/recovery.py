"""How long after a SIGKILL the step runs again elsewhere, and the one after it: `python -m tests.chaos.recovery`."""

import argparse
import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from process.ending import end
from runbook import steps
from tests.chaos.fault import KILL, KILL_OWNER, Shot, read_shots
from tests.chaos.house import ChaosHouse
from tests.chaos.quiet import quieten
from tests.chaos.report import machine
from tests.chaos.run import GATE_OPEN, RELEASE, Player, Run
from tests.chaos.service import passed
from tests.chaos.sweep import Houses

SHORT, SWAP, LONG = "release/verify-commit", "release/swap@production-2", "release/soak"
_AT = {SHORT: f"{SHORT}/ended", SWAP: f"{SWAP}/engine POST v1.41/containers/*/stop:after"}
_NEXT = {SHORT: "release/tag", SWAP: "release/health@production-2", LONG: "release/ledger"}
_TITLES = {
    SHORT: "a short step (verify the commit)",
    SWAP: "the swap, its old container stopped",
    LONG: "a long step (soak)",
}
_INTO_THE_LONG_STEP = 2.0
_SLACK = 2.0
_AFTER_A_SIGNAL = 2.5

Line = dict[str, Any]


class Times:
    """Seconds, by what was measured."""

    def __init__(self) -> None:
        self.again: dict[str, list[float]] = defaultdict(list)
        self.after: dict[str, list[float]] = defaultdict(list)
        self.signal: list[float] = []

    def note(self, run: Run, killed: dict[str, float]) -> None:
        lines = passed(run.folder)
        for step, at in killed.items():
            again = _first(lines, partial(_follows, step=step, since=at))
            after = _first(lines, partial(_follows, step=_NEXT[step], since=again))
            self.again[step].append(again - at)
            self.after[step].append(after - at)
        sent = run.at["signal"]
        self.signal.append(_first(lines, partial(_follows, step="release/", since=sent)) - sent)

    def rows(self) -> list[str]:
        limit = steps.SWAP.heartbeat.total_seconds() + _SLACK
        rows = [
            "| killed at | running again: median | worst | the step after it: median | worst | limit |",
            "|---|---|---|---|---|---|",
        ]
        for step, title in _TITLES.items():
            figures = [f"{value:.2f} s" for times in (self.again[step], self.after[step]) for value in _told(times)]
            rows.append(f"| {title} | {' | '.join(figures)} | {limit:g} s until it runs again |")
        median, worst = _told(self.signal)
        rows.append(
            f"| the gate, and a signal 0.5 s later | {median:.2f} s | {worst:.2f} s | | | {_AFTER_A_SIGNAL:g} s |"
        )
        return rows

    @property
    def is_good(self) -> bool:
        limit = steps.SWAP.heartbeat.total_seconds() + _SLACK
        return max(self.signal) <= _AFTER_A_SIGNAL and all(max(times) <= limit for times in self.again.values())


async def measured(player: Player, house: ChaosHouse, times: Times) -> Run:
    """One release that is killed in a short step, at the gate, in a swap and in its soak."""
    shots = [Shot(1, _AT[SHORT], KILL), Shot(2, _AT[SWAP], KILL), Shot(3, GATE_OPEN, KILL_OWNER)]
    killing = asyncio.create_task(_kill_in_the_long_step(house))
    run = await player.play(RELEASE, shots)
    times.note(run, {SHORT: run.fired[1], SWAP: run.fired[2], LONG: await killing})
    return run


async def _kill_in_the_long_step(house: ChaosHouse) -> float:
    """When the worker that soaks was killed."""
    before = read_shots(house.plan)[0]
    while True:
        folder = read_shots(house.plan)[0]
        if folder != before:
            for line in passed(folder):
                if line["point"] == f"{LONG}/begun":
                    await asyncio.sleep(_INTO_THE_LONG_STEP)
                    os.kill(line["pid"], signal.SIGKILL)
                    return time.time()
        await asyncio.sleep(0.1)


def _follows(line: Line, step: str, since: float) -> bool:
    return bool(line["at"] > since and line["point"].startswith(step) and line["point"].endswith("/begun"))


def _first(lines: list[Line], wanted: Callable[[Line], bool]) -> float:
    return float(next(line["at"] for line in lines if wanted(line)))


def _told(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), max(times)


async def _measure(root: Path, count: int, side_by_side: int) -> int:
    times, ended, wrong = Times(), 0, 0
    numbers = iter(range(count))

    async def measure(player: Player, house: ChaosHouse) -> None:
        nonlocal ended, wrong
        for _ in numbers:
            run = await measured(player, house, times)
            ended, wrong = ended + 1, wrong + (not run.is_good)
            _say(f"{ended}: {run.seconds:.0f} s {run.verdict.faults or 'well'}")

    async with Houses(root, side_by_side, soak="5s") as houses:
        await asyncio.gather(*(map(measure, houses.players, houses.open)))
    _say("\n".join(times.rows()))
    _say(f"{count} releases, 4 kills each, {wrong} of them wrong; {machine()}")
    return 0 if times.is_good and not wrong else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program's output


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.recovery", description=__doc__)
    parser.add_argument("--count", type=int, default=20, metavar="N", help="releases")
    parser.add_argument("--houses", type=int, default=1, metavar="N", help="side by side, which makes each slower")
    asked = parser.parse_args()
    quieten()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return asyncio.run(_measure(Path(folder), asked.count, asked.houses))


if __name__ == "__main__":
    end(main())
