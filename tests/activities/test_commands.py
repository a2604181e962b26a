import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.checkout import Checkouts
from activities.clients.health import HttpProbe
from activities.clients.process import Processes
from activities.commands import CommandActivities, scan_words
from activities.errors import Refused, Unreachable
from activities.heartbeat import beating
from runbook.artifact import ImageToScan
from runbook.artifact_table import ArtifactTable
from runbook.command import CommandToRun, SmokeTest
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.trouble import Cause
from tests.activities.answering import Service, service
from tests.activities.clients.origin import FORGE, Origin, client

REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
)
IMAGE = Image(registry="registry.example.net", name="acme/shop", version="1.4.0", digest="sha256:" + "a" * 64)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def origin(tmp_path: Path) -> Generator[Origin]:
    os.environ["RUNBOOK_TEST_TOKEN"] = "t0ken"
    yield Origin(tmp_path / "origin")
    del os.environ["RUNBOOK_TEST_TOKEN"]


@pytest.fixture
async def group(tmp_path: Path) -> AsyncGenerator[CommandActivities]:
    probe = HttpProbe(within=1)
    yield CommandActivities(Checkouts(client(tmp_path / "worker")), Processes(), probe)
    await probe.aclose()


@pytest.fixture
async def staging() -> AsyncGenerator[Service]:
    async with service() as running:
        yield running


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "worker" / "checkouts").iterdir())


def command(origin: Origin, *words: str, **more: Any) -> CommandToRun:
    return CommandToRun.model_validate(
        {
            "ref": REF,
            "project": origin.project(),
            "forge": FORGE,
            "commit": origin.first,
            "words": list(words),
            "within": MINUTE,
        }
        | more
    )


def smoke(origin: Origin, staging: Service, *words: str) -> SmokeTest:
    return SmokeTest.model_validate(
        command(origin, *words).model_dump()
        | {
            "host": "staging1.example.net",
            "target": f"{staging.url}/base",
            "health_url": f"{staging.url}/health",
            "version_url": f"{staging.url}/version",
            "version": "1.4.0",
        }
    )


def scan(origin: Origin, *words: str) -> ImageToScan:
    artifact = ArtifactTable.model_validate(
        {"registry": "registry.example.net", "image": "acme/shop", "manifest": {"path": "d.txt"}, "scan": list(words)}
    )
    return ImageToScan(
        ref=REF, project=origin.project(), forge=FORGE, artifact=artifact, image=IMAGE, commit=origin.first
    )


async def test_uat_runs_in_a_clean_checkout_of_the_commit(
    group: CommandActivities, origin: Origin, tmp_path: Path
) -> None:
    order = command(
        origin, "sh", "-c", 'cat package.json; git rev-parse HEAD; echo "$UAT"; pwd', environment={"UAT": "on"}
    )
    origin.commit("Release 1.5.0", {"package.json": "{}"})
    found = await group.uat(order)
    assert found.evidence[:3] == ['{"name": "shop", "version": "1.4.0"}', origin.first, "on"]
    assert found.summary.startswith("`sh -c 'cat package.json; ")
    assert " exited 0 in " in found.summary
    assert len(found.summary) < 150
    assert not Path(found.evidence[3]).exists()
    assert left(tmp_path) == []


async def test_a_failing_uat_is_worth_another_attempt_and_shows_the_end_of_its_output(
    group: CommandActivities, origin: Origin, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable) as caught:
        await group.uat(command(origin, "sh", "-c", "seq 100; echo 3 tests failed >&2; exit 4"))
    assert caught.value.cause is Cause.COMMAND_FAILED
    assert "exited with 4 in a checkout of " + origin.first[:12] in str(caught.value)
    assert str(caught.value).endswith(": 3 tests failed")
    assert caught.value.evidence == [*(str(number) for number in range(82, 101)), "3 tests failed"]
    assert left(tmp_path) == []


async def test_a_uat_that_a_signal_ended_says_so(group: CommandActivities, origin: Origin) -> None:
    with pytest.raises(Unreachable, match=r"was ended by SIGKILL .* without a word"):
        await group.uat(command(origin, "sh", "-c", "kill -KILL $$"))


async def test_a_uat_over_its_time_is_ended_and_says_so(group: CommandActivities, origin: Origin) -> None:
    with pytest.raises(Unreachable, match=r"`sleep 60` was ended after its 0\.3 s") as caught:
        await group.uat(command(origin, "sleep", "60", within=timedelta(seconds=0.3)))
    assert caught.value.cause is Cause.TIMED_OUT


async def test_a_program_that_is_not_there_is_not_tried_again(
    group: CommandActivities, origin: Origin, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="'no-such-runner' is not on the worker's PATH"):
        await group.uat(command(origin, "no-such-runner", "run", "uat"))
    assert left(tmp_path) == []


async def test_the_newest_line_of_output_is_in_the_heartbeats(
    group: CommandActivities, origin: Origin, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f"echo 5 of 42 passed; while [ ! -e {go} ]; do sleep 0.02; done"
    beats = ActivityEnvironment()
    beats.on_heartbeat = lambda *details: go.touch() if details == ({"output": "5 of 42 passed"},) else None

    async def performed() -> None:
        async with beating():
            await group.uat(command(origin, "sh", "-c", script))

    await asyncio.wait_for(beats.run(performed), 20)


async def test_a_cancelled_uat_leaves_no_checkout(group: CommandActivities, origin: Origin, tmp_path: Path) -> None:
    started = tmp_path / "started"
    running = asyncio.ensure_future(group.uat(command(origin, "sh", "-c", f"touch {started}; sleep 60")))
    async with asyncio.timeout(20):
        while not started.exists():
            await asyncio.sleep(0.02)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    assert left(tmp_path) == []


async def test_the_scanner_is_given_the_image_by_digest_as_its_last_word(
    group: CommandActivities, origin: Origin
) -> None:
    found = await group.scan(scan(origin, sys.executable, "-c", "import sys; print(sys.argv[1:])", "--strict"))
    reference = "registry.example.net/acme/shop:v1.4.0@sha256:" + "a" * 64
    assert found.evidence == [reference, str(["--strict", reference])]


def test_the_image_stands_where_the_scan_command_says() -> None:
    assert scan_words(["trivy", "--input={image}", "-q"], "shop@x") == ["trivy", "--input=shop@x", "-q"]
    assert scan_words(["trivy", "image"], "shop@x") == ["trivy", "image", "shop@x"]


async def test_a_scanner_that_finds_something_fails_the_step(group: CommandActivities, origin: Origin) -> None:
    with pytest.raises(Unreachable, match="CVE-2026-1 CRITICAL") as caught:
        await group.scan(scan(origin, "sh", "-c", "echo CVE-2026-1 CRITICAL; exit 1"))
    assert caught.value.cause is Cause.COMMAND_FAILED


async def test_a_smoke_test_is_given_the_target_and_the_service_confirms(
    group: CommandActivities, origin: Origin, staging: Service
) -> None:
    found = await group.smoke_test(smoke(origin, staging, "sh", "-c", 'echo "$@"; echo All passed', "smoke"))
    assert found.evidence == [
        f"--target {staging.url}/base",
        "All passed",
        f'{staging.url}/health: 200 {{"status":"ok"}}',
        f'{staging.url}/version: 200 {{"version":"v1.4.0"}}',
    ]


async def test_a_failing_smoke_test_points_to_its_line_of_the_table(
    group: CommandActivities, origin: Origin, staging: Service
) -> None:
    with pytest.raises(Unreachable, match="exited with 1") as caught:
        await group.smoke_test(smoke(origin, staging, "false"))
    assert caught.value.cause is Cause.SMOKE_FAILED
    assert staging.asked == {}


@pytest.mark.parametrize(
    ("health", "version", "what"),
    [
        ((503, "no database"), (200, "v1.4.0"), "/health says 503 no database, not that it is healthy"),
        ((200, '{"status": "degraded"}'), (200, "v1.4.0"), "/health says 200 "),
        ((200, "ok"), (200, '{"version": "v1.3.0"}'), '/version says 200 {"version":"v1.3.0"}, not v1.4.0'),
        ((200, "ok"), (200, '{"version": "v1.4.0-rc.1"}'), "not v1.4.0"),
        ((200, "ok"), (404, "none"), "/version says 404 none, not v1.4.0"),
    ],
)
async def test_a_passed_smoke_test_does_not_count_against_the_service_itself(
    group: CommandActivities,
    origin: Origin,
    staging: Service,
    health: tuple[int, str],
    version: tuple[int, str],
    what: str,
) -> None:
    staging.health, staging.version = health, version
    with pytest.raises(Unreachable) as caught:
        await group.smoke_test(smoke(origin, staging, "true"))
    assert what in str(caught.value)
    assert "staging1.example.net" in str(caught.value)
    assert caught.value.cause is Cause.SMOKE_FAILED


async def test_a_service_that_is_silent_after_the_smoke_test_fails_it(
    group: CommandActivities, origin: Origin, staging: Service
) -> None:
    order = smoke(origin, staging, "true").model_copy(update={"health_url": "http://127.0.0.1:1/health"})
    with pytest.raises(Unreachable, match=r"passed on staging1.example.net, but no answer from http://127.0.0.1:1"):
        await group.smoke_test(order)
