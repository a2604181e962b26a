import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from activities.clients.process import KEPT_LINES, LONGEST_LINE, Ended, Processes, Tail
from activities.errors import Refused
from runbook.trouble import Cause

MINUTE = timedelta(minutes=1)
WORKER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from activities.clients.process import Processes
asyncio.run(Processes().run(sys.argv[2:], folder=Path(sys.argv[1]), within=timedelta(minutes=1), environment={}))
"""


async def run(folder: Path, *words: str, within: timedelta = MINUTE, **environment: str) -> Ended:
    return await Processes().run(words, folder=folder, within=within, environment=environment)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(true: Callable[[], object], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def pids(folder: Path, *names: str) -> list[int]:
    files = [folder / name for name in names]
    await until(lambda: all(file.exists() and file.read_text().strip() for file in files))
    return [int(file.read_text()) for file in files]


async def test_both_streams_are_kept_in_their_order(tmp_path: Path) -> None:
    end = await run(tmp_path, "sh", "-c", "echo one; echo two >&2; echo three")
    assert (end.code, end.tail) == (0, ["one", "two", "three"])
    assert end.seconds > 0


async def test_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    assert (await run(tmp_path, "sh", "-c", "exit 3")).code == 3


async def test_a_command_that_a_signal_ended_has_128_and_the_signal(tmp_path: Path) -> None:
    assert (await run(tmp_path, "sh", "-c", "kill -KILL $$")).code == 128 + signal.SIGKILL


async def test_words_reach_the_program_as_they_are(tmp_path: Path) -> None:
    words = ["$HOME; echo no", "`id`", "a  b", "*", "--flag", "é", ""]
    end = await run(tmp_path, sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert end.tail == [str(words)]


async def test_it_runs_in_the_folder_and_finds_its_programs_there(tmp_path: Path) -> None:
    script = tmp_path / "uat.sh"
    script.write_text("#!/bin/sh\npwd -P\n")
    script.chmod(0o755)
    assert (await run(tmp_path, "./uat.sh")).tail == [str(tmp_path.resolve())]


async def test_the_environment_is_small_and_the_projects_own(tmp_path: Path) -> None:
    os.environ["SHOP_TEST_TOKEN"] = "the-workers-own-secret"
    try:
        end = await run(tmp_path, "env", UAT_URL="https://staging.example.net", LANG="C")
    finally:
        del os.environ["SHOP_TEST_TOKEN"]
    names = {line.partition("=")[0] for line in end.tail}
    assert {"PATH", "UAT_URL"} <= names <= {"PATH", "HOME", "LANG", "UAT_URL", "LC_CTYPE"}
    assert "UAT_URL=https://staging.example.net" in end.tail
    assert "LANG=C" in end.tail


async def test_it_has_nothing_to_read(tmp_path: Path) -> None:
    assert (await run(tmp_path, "cat")).code == 0


@pytest.mark.parametrize("program", ["no-such-program-here", "./missing.sh", "plain.txt", "./plain.txt"])
async def test_a_program_that_is_not_there_is_refused(tmp_path: Path, program: str) -> None:
    (tmp_path / "plain.txt").write_text("not executable")
    with pytest.raises(Refused, match=program.replace(".", r"\.")) as caught:
        await run(tmp_path, program)
    assert caught.value.cause is Cause.COMMAND_FAILED


async def test_a_program_that_does_not_start_fails_with_the_reason(tmp_path: Path) -> None:
    script = tmp_path / "uat.sh"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    end = await run(tmp_path, "./uat.sh")
    assert end.code == 127
    assert "could not be started" in end.tail[0]


async def test_a_command_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > child; echo $$ > leader; echo working; wait"
    end = await run(tmp_path, "sh", "-c", script, within=timedelta(seconds=1))
    assert end.code is None
    assert end.tail[:1] == ["working"]
    assert not any(alive(pid) for pid in await pids(tmp_path, "leader", "child"))


async def test_a_command_that_ignores_the_request_to_end_is_killed_after_5_s(tmp_path: Path) -> None:
    script = "trap '' TERM; echo $$ > leader; while :; do sleep 1; done"
    started = time.monotonic()
    end = await run(tmp_path, "sh", "-c", script, within=timedelta(milliseconds=500))
    assert end.code is None
    assert 5 < time.monotonic() - started < 30
    assert not any(alive(pid) for pid in await pids(tmp_path, "leader"))


async def test_a_cancelled_command_is_ended_before_the_cancellation_goes_on(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, "sh", "-c", "sleep 60 & echo $! > child; echo $$ > leader; wait"))
    found = await pids(tmp_path, "leader", "child")
    assert all(alive(pid) for pid in found)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not any(alive(pid) for pid in found)


async def test_what_a_command_leaves_in_the_background_is_ended_too(tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > child; setsid sleep 61 & echo $! > escaped; echo done"
    end = await run(tmp_path, "sh", "-c", script)
    assert (end.code, end.tail) == (0, ["done"])
    assert not any(alive(pid) for pid in await pids(tmp_path, "child", "escaped"))


async def test_a_killed_workers_command_does_not_run_on(tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > child; setsid sleep 61 & echo $! > escaped; echo $$ > leader; wait"
    words = [sys.executable, "-c", WORKER, str(tmp_path), "sh", "-c", script]
    worker = subprocess.Popen(words, cwd=Path(__file__).parents[3])
    try:
        found = await pids(tmp_path, "leader", "child", "escaped")
        assert all(alive(pid) for pid in found)
    finally:
        worker.kill()
        worker.wait()
    await until(lambda: not any(alive(pid) for pid in found), within=4)


async def test_a_killed_leash_takes_the_command_with_it(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, "sh", "-c", "echo $PPID > leash; echo $$ > leader; exec sleep 60"))
    leash, leader = await pids(tmp_path, "leash", "leader")
    os.kill(leash, signal.SIGKILL)
    end = await running
    assert end.code == -signal.SIGKILL
    await until(lambda: not alive(leader), within=2)


async def test_the_newest_line_is_told_while_it_runs(tmp_path: Path) -> None:
    told: list[str] = []
    go = tmp_path / "go"
    script = f"echo first; while [ ! -e {go} ]; do sleep 0.02; done; echo second"
    running = asyncio.create_task(
        Processes().run(["sh", "-c", script], folder=tmp_path, within=MINUTE, environment={}, line=told.append)
    )
    await until(lambda: told == ["first"])
    go.touch()
    await running
    assert told == ["first", "second"]


async def test_endless_output_neither_fills_memory_nor_stops_the_loop(tmp_path: Path) -> None:
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    beating = asyncio.create_task(beat())
    end = await run(tmp_path, "yes", "a line of output", within=timedelta(seconds=1))
    beating.cancel()
    assert end.tail[:-1] == ["a line of output"] * (KEPT_LINES - 1)
    assert turns > 20


def test_a_tail_survives_any_bytes_in_any_pieces() -> None:
    output = (
        b"\xff\xfebad\r\nprogress 1%\rprogress 2%\r\x1b[31mred\x1b[0m \x07\n\n\x00\n" + "é".encode() * 1000 + b"\nend"
    )
    expected = ["\ufffd\ufffdbad", "progress 1%", "progress 2%", "red \ufffd", "\ufffd", "é" * LONGEST_LINE, "end"]
    for size in (1, 7, 100, 5000):
        tail = Tail()
        for start in range(0, len(output), size):
            tail.add(output[start : start + size])
        assert tail.lines() == expected


def test_a_line_without_end_takes_bounded_room() -> None:
    tail = Tail()
    for _ in range(2000):
        tail.add(b"x" * 65536)
    assert tail.lines() == ["x" * LONGEST_LINE]
