"""`python -m deploy.demo` plays the demo; `--keep` keeps the house up for playing, with Temporal's UI."""

import argparse
import asyncio
import shlex
import signal
import sys
from pathlib import Path
from typing import NoReturn

from deploy.demo.acts import Stage, first_act, second_act
from deploy.demo.ground import ground
from deploy.demo.house import CHECKOUT, House
from deploy.demo.screen import Screen
from process.ending import end
from runbook import names

ACTS = {1: first_act, 2: second_act}
_INTERRUPTED = 130
_A_DAY = 86_400


def main() -> int:
    asked = _arguments().parse_args()
    _end_as_by_ctrl_c()
    root = asked.root.absolute()
    screen = Screen()
    try:
        with ground(root), House(root, pipeline_seconds=asked.pipeline_seconds) as house:
            screen.say(f"Temporal's UI: {house.ui}   everything below: {root}")
            if asked.keep:
                asyncio.run(_keep(house, screen))
            return asyncio.run(_play(house, screen, [asked.act] if asked.act else sorted(ACTS)))
    except RuntimeError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if asked.keep else _INTERRUPTED


def _end_as_by_ctrl_c() -> None:
    """A closed terminal and SIGTERM end the whole house too; whoever said `nohup` wants it to stay."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


async def _play(house: House, screen: Screen, acts: list[int]) -> int:
    stage = Stage(house, screen, await house.connect())
    for number in acts:
        await ACTS[number](stage)
    if screen.failures:
        screen.say(f"[bold red]{len(screen.failures)} facts are not as claimed[/]")
        return 1
    screen.say("[bold green]Every fact is as claimed.[/]")
    return 0


async def _keep(house: House, screen: Screen) -> NoReturn:
    """Up until Ctrl-C, with a version to release."""
    await asyncio.to_thread(house.start_worker)
    await house.publish("1.0.0")
    screen.box("the sandbox is up; Ctrl-C ends it", _to_play_with(house))
    while True:
        await asyncio.sleep(_A_DAY)


def _to_play_with(house: House) -> str:
    """Lines that can be pasted into any shell as they are."""
    publish = [".venv/bin/python", "-m", "deploy.sandbox", "publish", "1.1.0", "--root", str(house.root / "sandbox")]
    return "\n".join(
        [
            "In another terminal:",
            f"cd {shlex.quote(str(CHECKOUT))}",
            f"export TEMPORAL_ADDRESS={house.address} PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            names.starter("start", "shop", "1.0.0", "--as", "carol"),
            names.starter("watch", "shop"),
            names.starter("approve", "shop", "--as", "alice"),
            "",
            "The next version, which the shop's developers commit; release it like the first (README.md: See it):",
            shlex.join(publish),
            "",
            f"Temporal's UI: {house.ui}",
            f"Forge: {house.facts.forge.url}",
        ]
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy.demo", description=__doc__)
    parser.add_argument("--act", type=int, choices=sorted(ACTS), help="only this act; all when left out")
    parser.add_argument("--keep", action="store_true", help="play nothing, keep the house up")
    parser.add_argument(
        "--root",
        type=Path,
        default=CHECKOUT / ".run" / "demo",
        help="an empty folder, or one of an earlier demo, which is emptied",
    )
    parser.add_argument("--pipeline-seconds", type=float, default=4.0, help="how long the pipeline builds")
    return parser


if __name__ == "__main__":
    end(main())
