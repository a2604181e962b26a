"""`make bench`: what the parts of a release take on this machine, a line each, beside what they can be compared with.

Two things that are measured in one run, in turn, have a ratio that means something on another machine too. Only that it
could be measured is said by the exit status: limits are the tests' affair.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from process.ending import end
from tests.bench import releases, replays, rows, steps
from tests.bench.line import Line, table
from tests.chaos.quiet import quieten
from tests.chaos.report import machine

PARTS: Mapping[str, Callable[[], Awaitable[list[Line]]]] = {
    "ledger": rows.lines,
    "replays": replays.lines,
    "steps": steps.lines,
    "releases": releases.lines,
}


def main(words: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(words)
    quieten()
    try:
        print("\n".join(table(asyncio.run(_measured(asked.only)))))  # noqa: T201 - a command's answer
    except (RuntimeError, asyncio.CancelledError) as error:
        print(f"bench: {str(error) or 'ended before it was through'}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")  # noqa: T201 - a command's answer
    return 0


async def _measured(parts: list[str]) -> list[Line]:
    """What was started is ended, also when this is told to."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    lines: list[Line] = []
    for part in parts:
        print(f"measuring {part} …", file=sys.stderr, flush=True)  # noqa: T201 - it takes a while
        lines += await PARTS[part]()
    return lines


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    return parser


if __name__ == "__main__":
    end(main())
