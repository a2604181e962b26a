import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.ports import free_port
from deploy.sandbox.engine_life import Backoff
from deploy.sandbox.processes import end_leftover
from tests.deploy.sandbox.engine_bench import ADDRESS, Bench, answer, bench, run, until

in_module = pytest.mark.asyncio(loop_scope="module")
ALWAYS: dict[str, Any] = {"Name": "always", "MaximumRetryCount": 0}
UNLESS_STOPPED: dict[str, Any] = {"Name": "unless-stopped", "MaximumRetryCount": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def at(shared: Bench) -> AsyncIterator[Bench]:
    yield shared
    await shared.clean()


def test_pauses_double_to_a_minute_and_start_anew_after_ten_steady_seconds() -> None:
    backoff = Backoff()
    assert [round(backoff.next(1.0), 1) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert [backoff.next(1.0) for _ in range(12)][-1] == 60.0
    assert backoff.next(10.0) == 0.1


@in_module
async def test_a_crash_loop_grows_its_restart_count_and_is_stopped_for_good(at: Bench) -> None:
    reference = await at.pulled("1.0.0", "crash_loop", seconds=0.05)
    container = await at.create(reference, "shop", restart_policy=UNLESS_STOPPED)
    await run(container.start)
    await until(lambda: at.docker.api.inspect_container(container.id)["RestartCount"] >= 2)
    restarting = await until(
        lambda: [s for s in [at.docker.api.inspect_container(container.id)["State"]] if s["Restarting"]]
    )
    assert (restarting[0]["Running"], restarting[0]["Pid"]) == (True, 0)
    await run(container.stop)
    stopped = await at.inspected(container)
    assert stopped["State"]["Status"] == "exited"
    assert b"lost the connection" in await run(container.logs)


@in_module
async def test_a_process_that_dies_is_restarted_on_its_port(at: Bench) -> None:
    port = free_port(ADDRESS)
    container = await at.create(
        await at.pulled("1.0.0"), "shop", ports={"8080/tcp": port}, restart_policy=UNLESS_STOPPED
    )
    await run(container.start)
    await answer(port, "/health")
    first = (await at.inspected(container))["State"]["Pid"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: at.docker.api.inspect_container(container.id)["State"]["Pid"] not in {0, first})
    assert (await at.inspected(container))["RestartCount"] == 1
    assert (await answer(port, "/health"))["status"] == "ok"


@pytest.mark.parametrize(("code", "maximum", "restarts"), [(0, 0, 0), (3, 2, 2)])
@in_module
async def test_on_failure_restarts_failures_only_and_so_often(
    at: Bench, code: int, maximum: int, restarts: int
) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": maximum}
    container = await at.create(
        await at.pulled("1.0.0"), "shop", entrypoint=["sh", "-c", f"exit {code}"], restart_policy=policy
    )
    await run(container.start)
    await until(lambda: not at.docker.api.inspect_container(container.id)["State"]["Running"])
    seen = await at.inspected(container)
    assert (seen["RestartCount"], seen["State"]["ExitCode"]) == (restarts, code)


@in_module
async def test_what_ignores_sigterm_is_killed_after_the_timeout(at: Bench) -> None:
    words = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    container = await at.create(await at.pulled("1.0.0"), "shop", entrypoint=words)
    await run(container.start)
    await until(lambda: b"ready" in container.logs())
    await run(container.stop, timeout=1)
    assert (await at.inspected(container))["State"]["ExitCode"] == 137


@in_module
async def test_a_restarted_engine_brings_back_what_its_policy_keeps_up(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        reference = await at.pulled("1.0.0")
        policies: dict[str, Any] = {"always": ALWAYS, "kept": UNLESS_STOPPED, "by-hand": UNLESS_STOPPED, "no": None}
        made = {name: await at.create(reference, name, restart_policy=policy) for name, policy in policies.items()}
        never = await at.create(reference, "never", restart_policy=ALWAYS)
        for container in made.values():
            await run(container.start)
        await run(made["always"].stop)
        await run(made["by-hand"].stop)
        ids = {name: container.id for name, container in made.items()}
    async with bench(tmp_path) as again:
        found = await run(again.docker.containers.list, all=True)
        states = {container.name: container.status for container in found}
        assert states == {
            "always": "running",
            "kept": "running",
            "by-hand": "exited",
            "no": "exited",
            "never": "created",
        }
        assert {c.name: c.id for c in found} == {**ids, "never": never.id}


@in_module
async def test_an_update_of_the_policy_is_what_counts(at: Bench) -> None:
    container = await at.create(await at.pulled("1.0.0"), "shop", restart_policy=ALWAYS)
    await run(container.update, restart_policy={"Name": "no"})
    await run(container.start)
    os.kill((await at.inspected(container))["State"]["Pid"], signal.SIGKILL)
    await until(lambda: not at.docker.api.inspect_container(container.id)["State"]["Running"])
    assert (await at.inspected(container))["HostConfig"]["RestartPolicy"]["Name"] == "no"


def test_only_a_container_s_own_leftover_is_ended() -> None:
    words = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]
    env = {"SANDBOX_CONTAINER": "c0ffee"}
    with subprocess.Popen(words, env=env, start_new_session=True, stdout=subprocess.PIPE) as left:
        assert left.stdout
        left.stdout.readline()
        end_leftover(left.pid, "another")
        assert left.poll() is None
        end_leftover(left.pid, "c0ffee")
        assert left.wait(5) == -signal.SIGKILL
