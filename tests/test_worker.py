"""The worker as a process: what stops it from starting, when it is ready, and how it ends."""

import asyncio
import inspect
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

import worker
from deploy.ports import free_port
from runbook import names, steps
from tests.programs import ENDINGS, ROOT, ended, worker_process
from tests.projects import project_table
from tests.servers import TemporalServer
from tests.toml import as_toml

AT_ONCE = 4


async def test_every_wrong_setting_is_named_at_once_and_the_status_is_2(tmp_path: Path) -> None:
    async with worker_process(
        tmp_path, RUNBOOK_GRACE="soon", RUNBOOK_LOG_LEVEL="loud", TEMPORAL_TLS="maybe", RUNBOOK_TASKQUEUE="mine"
    ) as process:
        assert await process.ended() == 2
    assert [line.split(":")[0] for line in process.lines] == [
        "RUNBOOK_TASKQUEUE",
        "RUNBOOK_LOG_LEVEL",
        "RUNBOOK_GRACE",
        "TEMPORAL_TLS",
    ]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "Its settings come from RUNBOOK_* variables"),
        (["start"], 2, "worker.py: error: unrecognized arguments: start"),
        (["--grace", "5"], 2, "worker.py: error: unrecognized arguments: --grace 5"),
    ],
)
async def test_words_start_no_worker(words: list[str], status: int, said: str) -> None:
    """Its settings would be refused too: a word is looked at before them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "worker.py"),
        *words,
        env={"RUNBOOK_GRACE": "soon", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    left = await ended(process)
    assert left.status == status
    assert said in left.out


async def test_it_is_ready_when_it_polls_and_a_signal_ends_it_with_0(temporal: TemporalServer, tmp_path: Path) -> None:
    began = time.monotonic()
    async with worker_process(tmp_path, RUNBOOK_TASK_QUEUE="ready", **temporal.environment) as process:
        ready = await process.until("worker ready")
        assert ready["task_queue"] == "ready"
        assert time.monotonic() - began < 20
        process.signal(signal.SIGINT)
        assert await process.ended(within=10) == 0
    assert any("worker stopped" in line for line in process.lines)


async def test_it_waits_for_temporal_and_can_be_stopped_while_it_does(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with worker_process(tmp_path, TEMPORAL_ADDRESS=address) as process:
        waiting = await process.until("temporal does not answer, trying again")
        assert address in waiting["target"]
        process.signal(signal.SIGTERM)
        assert await process.ended(within=10) == 0


async def test_a_namespace_that_is_not_there_is_fatal(temporal: TemporalServer, tmp_path: Path) -> None:
    variables = {**temporal.environment, "TEMPORAL_NAMESPACE": "nowhere"}
    async with worker_process(tmp_path, **variables) as process:
        assert "nowhere" in (await process.until("the worker can't go on"))["exception"]
        assert await process.ended() == 1


async def test_a_wrong_project_file_is_named_at_start_and_stops_nobody_else(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "shop.toml").write_text("[project]\nowner = 'acme'\n")
    async with worker_process(tmp_path, RUNBOOK_TASK_QUEUE="wrong-file", **temporal.environment) as process:
        complaint = await process.until("a project's file is wrong")
        assert complaint["project"] == "shop"
        assert "forge" in complaint["why"]
        await process.until("worker ready")


async def test_metrics_are_served_where_that_is_asked_for(temporal: TemporalServer, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with worker_process(
        tmp_path, RUNBOOK_METRICS=address, RUNBOOK_TASK_QUEUE="metrics", **temporal.environment
    ) as process:
        await process.until("worker ready")
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{address}/metrics")
    assert "temporal_" in answer.text


async def test_an_address_for_metrics_that_is_taken_is_a_wrong_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with worker_process(tmp_path, RUNBOOK_METRICS=f"127.0.0.1:{taken.getsockname()[1]}") as process:
            assert await process.ended() == 2
    assert process.lines[0].startswith("RUNBOOK_METRICS: can't listen on")


async def test_work_under_way_is_given_its_grace_and_a_second_signal_ends_at_once(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging_project(tmp_path, "two-signals", f"http://127.0.0.1:{silent.getsockname()[1]}/acme/shop.git")
        variables = {"RUNBOOK_TASK_QUEUE": "two-signals", "RUNBOOK_GRACE": "60", "SECRET": "opensesame"}
        async with worker_process(tmp_path, **variables, **temporal.environment) as process:
            await process.until("worker ready")
            await start_release(temporal, "two-signals")
            await process.until("step started")
            process.signal(signal.SIGTERM)
            await process.until("stopping")
            with pytest.raises(TimeoutError):
                await process.ended(within=1)
            process.signal(signal.SIGTERM)
            assert await process.ended(within=5) == -signal.SIGTERM


async def test_work_that_outlasts_its_grace_is_cancelled_and_the_end_is_clean(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging_project(tmp_path, "no-grace", f"http://127.0.0.1:{silent.getsockname()[1]}/acme/shop.git")
        variables = {"RUNBOOK_TASK_QUEUE": "no-grace", "RUNBOOK_GRACE": "0.5", "SECRET": "opensesame"}
        async with worker_process(tmp_path, **variables, **temporal.environment) as process:
            await process.until("worker ready")
            await start_release(temporal, "no-grace")
            await process.until("step started")
            process.signal(signal.SIGTERM)
            assert await process.ended(within=10) == 0
    assert any("step cancelled" in line for line in process.lines)
    assert not any("opensesame" in line for line in process.lines)


@pytest.mark.timeout(900)  # on a machine that is busy with other work
async def test_every_stop_is_status_0(temporal: TemporalServer, tmp_path: Path) -> None:
    """A process that used Temporal's client may abort at exit: see process/ending.py."""
    statuses: Counter[int] = Counter()
    batch = asyncio.Semaphore(AT_ONCE)

    async def stop_one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with (
            batch,
            worker_process(folder, RUNBOOK_TASK_QUEUE=f"stop-{number}", **temporal.environment) as process,
        ):
            await process.until("worker ready")
            process.signal(signal.SIGTERM)
            statuses[await process.ended()] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(ENDINGS):
            group.create_task(stop_one(number))
    assert statuses == {0: ENDINGS}


def test_every_step_has_exactly_one_performer_among_the_groups_of_the_worker() -> None:
    groups = [value for name, value in vars(worker).items() if name.endswith("Activities")]
    performed = Counter(
        method.__temporal_activity_definition.name
        for group in groups
        for _, method in inspect.getmembers(group, inspect.isfunction)
        if hasattr(method, "__temporal_activity_definition")
    )
    assert performed == Counter(step.name for step in steps.ALL)


def hanging_project(folder: Path, name: str, repository: str) -> None:
    """A project whose planning waits for a repository that never answers."""
    table = project_table()
    table["project"]["repository"] = repository
    table["forge"]["token"] = "env:SECRET"
    (folder / "projects").mkdir(exist_ok=True)
    (folder / "projects" / f"{name}.toml").write_text(as_toml(table) or "")


async def start_release(temporal: TemporalServer, name: str) -> None:
    """Of the project of this name, on the task queue of this name."""
    client = await temporal.connect()
    order = {"project": name, "version": "1.4.0", "requested_by": "carol"}
    await client.start_workflow(names.RELEASE_WORKFLOW, order, id=names.lane(name), task_queue=name)
