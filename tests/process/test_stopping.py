"""Stopping: what a signal does to a process whose work does not end."""

import signal
import subprocess
import sys

PROGRAM = """
import asyncio, sys, time
from datetime import timedelta
from process.stopping import Stopping

async def main():
    stopping = Stopping(timedelta(seconds=0.2), margin=timedelta(seconds=float(sys.argv[1])))
    stopping.listen()
    print("listening", flush=True)
    await stopping.asked.wait()
    print("asked", flush=True)
    time.sleep(60)

asyncio.run(main())
"""


def program(margin: float) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(margin)], stdout=subprocess.PIPE, text=True)


def heard(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    while process.stdout.readline() != f"{line}\n":
        assert process.poll() is None, "it ended first"


def test_a_process_that_is_stuck_is_ended_when_grace_and_margin_are_over() -> None:
    with program(0.2) as process:
        heard(process, "listening")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 1


def test_a_second_signal_ends_even_a_process_that_is_stuck() -> None:
    with program(60) as process:
        heard(process, "listening")
        process.send_signal(signal.SIGINT)
        heard(process, "asked")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
