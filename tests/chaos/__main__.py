"""`make chaos`: every point of a release, a rollback and a gate against every fault; the last line says how it went."""

import argparse
import asyncio
import functools
import signal
import sys
import tempfile
from pathlib import Path

from deploy.demo.house import CHECKOUT
from process.ending import end
from tests.chaos.cells import Cell, all_cells, chosen, packed
from tests.chaos.fault import ALL
from tests.chaos.journal import keep, kept
from tests.chaos.quiet import quieten
from tests.chaos.report import written
from tests.chaos.sweep import Houses, recorded, sweep


def main() -> int:
    asked = _arguments().parse_args()
    quieten()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return asyncio.run(_sweep(asked, Path(asked.root or folder)))


async def _sweep(asked: argparse.Namespace, root: Path) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with Houses(root, asked.houses, asked.checkout) as houses:
        everything = [Cell(*asked.cell)] if asked.cell else all_cells(await recorded(houses.players))
        before = kept(asked.journal)
        cells = chosen(everything, seed=asked.seed, sample=asked.sample, points=asked.points, faults=asked.faults)
        cells = [cell for cell in cells if cell not in before.outcomes]
        if asked.list:
            _say("\n".join(f"{cell.scenario:9}{cell.fault:14}{cell.point}" for cell in sorted(cells, key=str)))
            return 0
        runs = packed(cells, asked.per_run)
        _say(f"{len(everything)} cells in all, {len(cells)} chosen, in {len(runs)} runs on {asked.houses} houses")
        keeping = functools.partial(keep, asked.journal) if asked.journal else lambda _: None
        swept = await sweep(houses.players, runs, say=_say, minutes=asked.minutes, before=before, keep=keeping)
    if asked.report:
        # Which points there are differs a little from sitting to sitting.
        both = list(dict.fromkeys([*everything, *swept.outcomes]))
        asked.report.write_text(written(swept, both, sys.argv[1:]))
    for cell, outcome in swept.outcomes.items():
        if outcome.faults:
            _say(f"{cell.fault} at {cell.point} in a {cell.scenario}: {outcome.faults}")
    for fault in swept.together:
        _say(f"only together: {fault}")
    unreached = sum(not outcome.reached for outcome in swept.outcomes.values())
    _say(
        f"{len(swept.outcomes)} cells in {swept.runs} runs, {swept.seconds / 60:.1f} min; points that no run passed: "
        f"{unreached}; notices told twice: {swept.told_twice}"
    )
    _say(swept.last_line())
    return 0 if swept.is_good else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program's output


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only so many cells, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", default="*", metavar="GLOB", help="only points like this")
    parser.add_argument("--faults", nargs="*", default=[], choices=ALL, help="only these")
    parser.add_argument("--cell", nargs=3, metavar=("SCENARIO", "POINT", "FAULT"), help="this one alone, at once")
    parser.add_argument("--per-run", type=int, default=10, metavar="K", help="faults in one run, each in another phase")
    parser.add_argument("--houses", type=int, default=2, metavar="N", help="side by side")
    parser.add_argument("--minutes", type=float, help="begin no run after so long")
    parser.add_argument("--report", type=Path, help="write the table here, as Markdown")
    parser.add_argument("--journal", type=Path, help="keep what was found in this file, and go on from it")
    parser.add_argument("--list", action="store_true", help="only say which cells there are")
    parser.add_argument("--root", type=Path, help="keep everything below this folder")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="the code that the workers run")
    return parser


if __name__ == "__main__":
    end(main())
