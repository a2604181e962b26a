"""The sweep: runs spread over houses, failed ones taken apart until each cell has its own answer."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.demo.house import CHECKOUT
from tests.chaos.cells import Cell, shots
from tests.chaos.house import WORKER, ChaosHouse, opened
from tests.chaos.run import GATE, RELEASE, ROLLBACK, Player, Run
from tests.chaos.service import passed
from tests.nursery import Nursery

_TRIES_TO_REACH = 3
_NOT_PASSED = "was never passed"


@dataclass
class Outcome:
    """What a cell came to: `faults` empty is well, `reached` False says that no run passed its point."""

    faults: list[str] = field(default_factory=list[str])
    reached: bool = True


@dataclass
class Swept:
    """Everything that a sweep found."""

    outcomes: dict[Cell, Outcome] = field(default_factory=dict[Cell, Outcome])
    together: list[str] = field(default_factory=list[str])
    runs: int = 0
    duplicates: int = 0
    human: int = 0
    mixed: int = 0
    told_twice: int = 0
    seconds: float = 0.0
    sittings: int = 0

    def count(self, run: Run) -> None:
        self.runs += 1
        self.duplicates += len(run.verdict.duplicates)
        self.human += len(run.verdict.human)
        self.mixed += len(run.verdict.mixed)
        self.told_twice += run.verdict.told_twice

    @property
    def points(self) -> set[str]:
        return {cell.point for cell, outcome in self.outcomes.items() if outcome.reached}

    @property
    def completed(self) -> set[str]:
        return self.points - {cell.point for cell, outcome in self.outcomes.items() if outcome.faults}

    @property
    def is_good(self) -> bool:
        wrong = self.duplicates + self.human + self.mixed + len(self.together)
        return self.points == self.completed and not wrong

    def last_line(self) -> str:
        return (
            f"chaos: {len(self.points)} points, {len(self.completed)} completed, {self.duplicates} duplicate effects, "
            f"{self.human} human actions, {self.mixed} mixed fleets"
        )


class Houses:
    """`async with Houses(...) as houses:` so many are up, each with its crew, which runs the code of `checkout`."""

    def __init__(self, root: Path, count: int, checkout: Path = CHECKOUT, soak: str = "1s") -> None:
        self._root, self._count, self._soak = root, count, soak
        self._nursery = Nursery(WORKER, checkout=checkout)
        self.players: list[Player] = []
        self.open: list[ChaosHouse] = []

    async def __aenter__(self) -> Self:
        # Whoever waits for a program to come up keeps a thread meanwhile.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16 * self._count))
        self.open = [opened(self._root / f"{number}", self._nursery) for number in range(1, self._count + 1)]
        try:
            self._nursery.__enter__()
            for house in self.open:
                # One after the other: each looks for ports that are free.
                await asyncio.to_thread(house.__enter__)
                house.hurry(self._soak)
                self.players.append(Player(house))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(asyncio.to_thread(house.close) for house in self.open))
        await asyncio.to_thread(self._nursery.__exit__)


async def recorded(players: list[Player]) -> dict[str, list[str]]:
    """The points that undisturbed runs of each scenario pass, in their order. RuntimeError when one goes wrong.

    Every house has had a release by then: the first one finds less to look at and to tidy up than all that follow.
    """
    await asyncio.gather(*(_undisturbed(player, RELEASE) for player in players))
    releases = await asyncio.gather(*(_undisturbed(player, RELEASE) for player in players))
    others = {scenario: await _undisturbed(players[0], scenario) for scenario in (ROLLBACK, GATE)}
    return {RELEASE: [point for point in releases[0] if all(point in each for each in releases)], **others}


async def _undisturbed(player: Player, scenario: str) -> list[str]:
    run = await player.play(scenario, [])
    if not run.is_good:
        raise RuntimeError(f"an undisturbed {scenario} goes wrong: {run.verdict.faults}")
    return list(dict.fromkeys(line["point"] for line in passed(run.folder)))


async def sweep(
    players: list[Player],
    runs: list[list[Cell]],
    *,
    say: Callable[[str], None] = print,
    minutes: float | None = None,
    before: Swept | None = None,
    keep: Callable[[Swept], None] = lambda _: None,
) -> Swept:
    """Play every run; what is still to do when the minutes are over is left undone, and is in no outcome.

    `before` is what an earlier sitting found, `keep` is given what all have found after each run.
    """
    swept, waiting, began = before or Swept(), list(reversed(runs)), time.monotonic()
    swept.sittings, sat = swept.sittings + 1, swept.seconds

    async def work(player: Player) -> None:
        while waiting and (minutes is None or time.monotonic() - began < 60 * minutes):
            cells = waiting.pop()
            run = await player.play(cells[0].scenario, shots(cells))
            said = f"{swept.runs + 1}: {run.scenario} {run.seconds:.0f} s, {len(cells)} faults"
            say(f"{said}: {'well' if run.is_good else run.verdict.faults}")
            again = _settle(swept, cells, run)
            waiting.extend([cell] for cell in again if cell not in tries)
            # Whether the point is ever passed is the last thing to find out.
            waiting[:0] = [[cell] for cell in again if cell in tries]
            swept.seconds = sat + time.monotonic() - began
            keep(swept)
            if not run.is_good:
                # What a release left that had to be ended is put right by the next one.
                await player.play(RELEASE, [])

    tries: dict[Cell, int] = {}

    def _settle(swept: Swept, cells: list[Cell], run: Run) -> list[Cell]:
        """Which cells are to be played again, alone."""
        missed = [cell for shot, cell in zip(shots(cells), cells, strict=True) if shot.number not in run.fired]
        wrong = [fault for fault in run.verdict.faults if not fault.endswith(_NOT_PASSED)] + run.verdict.human
        swept.count(run)
        again: list[Cell] = []
        for cell in cells:
            if cell in missed:
                tries[cell] = tries.get(cell, 0) + 1
                if tries[cell] < _TRIES_TO_REACH:
                    again.append(cell)
                else:
                    swept.outcomes[cell] = Outcome(reached=False)
            elif wrong and len(cells) > 1:
                again.append(cell)
            else:
                swept.outcomes[cell] = Outcome(wrong)
        if wrong and len(cells) > 1:
            swept.together.append(f"{' + '.join(f'{cell.point} {cell.fault}' for cell in cells)}: {wrong[:2]}")
        return again

    await asyncio.gather(*(work(player) for player in players))
    return swept
