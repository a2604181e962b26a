"""What a whole release takes in the sandbox, undisturbed and with its worker killed four times: see tests/chaos/recovery.py."""

import tempfile
from pathlib import Path

from runbook import steps
from tests.bench.line import Line
from tests.chaos.house import ChaosHouse
from tests.chaos.recovery import LONG, SHORT, SWAP, Times, measured
from tests.chaos.run import RELEASE, Player, Run
from tests.chaos.sweep import Houses

_SOAK_SECONDS = 5
_HEARTBEAT = steps.SWAP.heartbeat.total_seconds()
_KILLED_IN = {SHORT: "a short step", SWAP: "a swap", LONG: "a soak"}


async def lines() -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with Houses(Path(folder), 1, soak=f"{_SOAK_SECONDS}s") as houses:
            return await _played(houses.players[0], houses.open[0])


async def _played(player: Player, house: ChaosHouse) -> list[Line]:
    """The undisturbed one comes second: the first release of a house finds less to look at and to tidy up than others."""
    alive, killed = Times(), Times()
    disturbed = _good(await measured(player, house, killed))
    quiet = _good(await player.play(RELEASE, []))
    alive.note(quiet, {})
    lines = [
        Line("a release in the sandbox: from its start to its gate", quiet.at["signal"] - quiet.at["start"]),
        Line(
            f"... from its approval to released, {_SOAK_SECONDS} s of soak included",
            quiet.at["end"] - quiet.at["signal"],
        ),
        Line(
            "... all of it, with four workers killed on the way (SIGKILL)", _all(disturbed), "undisturbed", _all(quiet)
        ),
    ]
    lines += [
        Line(
            f"killed in {where}: until it runs again", killed.again[step][0], "the step's heartbeat timeout", _HEARTBEAT
        )
        for step, where in _KILLED_IN.items()
    ]
    heard = "killed at the gate: an approval until the next step begins"
    return [*lines, Line(heard, killed.signal[0], "with its worker alive", alive.signal[0])]


def _all(run: Run) -> float:
    return run.at["end"] - run.at["start"]


def _good(run: Run) -> Run:
    if not run.is_good:
        raise RuntimeError(f"a release of the bench went wrong: {run.verdict.faults or run.verdict.human}")
    return run
