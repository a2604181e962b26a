"""Looks at what a host runs, on a real engine's API and a real file of the host."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, StepError, Unreachable
from activities.inspection import InspectionActivities
from runbook.host_drift import DriftKind, drifts
from runbook.host_state import EnvFile, HostRecord, HostState, HostToInspect, HostToRecord
from runbook.image import Image
from runbook.project import EnvironmentTable
from tests.activities.host_bench import ADDRESS, ENV_FILE, Bench, answered, host_bench, ref, write_env
from tests.activities.performing import perform
from tests.activities.swapping import swap
from tests.epochs import in_full


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with host_bench(tmp_path) as made:
        yield made


async def inspected(bench: Bench, environment: EnvironmentTable, hosts: Any = None) -> HostState:
    order = HostToInspect(ref=ref(90), environment=environment, host=ADDRESS, artifact=bench.artifact())
    return await perform(InspectionActivities(hosts or bench.hosts).inspect, order)


async def recorded(bench: Bench, environment: EnvironmentTable, digest: str | None) -> HostState:
    order = HostToRecord(ref=ref(90), environment=environment, host=ADDRESS, artifact=bench.artifact(), digest=digest)
    return await perform(InspectionActivities(bench.hosts).record, order)


async def left(bench: Bench, environment: EnvironmentTable, image: Image) -> HostRecord:
    """What a swap left, read from the evidence as from the ledger."""
    await swap(bench, environment, image, 10)
    state = await recorded(bench, environment, image.digest)
    record = HostRecord.read(ADDRESS, image.version, "today", state.evidence)
    assert record is not None
    return record


async def kinds(bench: Bench, environment: EnvironmentTable, record: HostRecord) -> list[DriftKind]:
    return [drift.kind for drift in drifts(record, await inspected(bench, environment))]


async def test_what_a_swap_left_is_as_recorded(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    record = await left(bench, environment, new)
    state = await inspected(bench, environment)
    assert drifts(record, state) == []
    assert (state.version, state.digest, state.release) == (new.version, new.digest, "run-10")
    assert (state.state, state.restarts, state.env_file, state.others) == ("running", 0, EnvFile.SAME, [])
    assert state.evidence[-1] == "env file same"


async def test_a_look_changes_nothing(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    await left(bench, environment, new)
    before = await bench.shape(environment)
    bench.forget_requests()
    await inspected(bench, environment)
    asked = bench.requests()
    assert [request.split(" ")[0] for request in asked] == ["GET"] * 3, asked
    assert await bench.shape(environment) == before


async def test_a_container_replaced_by_hand_is_found(
    bench: Bench, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    record = await left(bench, environment, new)
    engine = bench.engine
    await engine.stop("shop", environment.stop_timeout)
    await engine.remove("shop")
    assert await kinds(bench, environment, record) == [DriftKind.NO_CONTAINER]
    await bench.legacy(environment, old)
    found = await kinds(bench, environment, record)
    assert found[:2] == [DriftKind.OTHER_DIGEST, DriftKind.FOREIGN]


async def test_a_container_that_only_claims_the_digest_is_found_out(
    bench: Bench, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    record = await left(bench, environment, new)
    engine = bench.engine
    labels = (await bench.seen(environment))[0].labels
    await engine.stop("shop", environment.stop_timeout)
    await engine.remove("shop")
    await _labelled(bench, environment, old, labels)
    assert (await kinds(bench, environment, record))[:2] == [DriftKind.OTHER_DIGEST, DriftKind.REPLACED]


async def _labelled(bench: Bench, environment: EnvironmentTable, image: Image, labels: dict[str, str]) -> None:
    engine = bench.engine
    await engine.create(ContainerToCreate(name="shop", image=image.reference, labels=labels))
    await engine.start("shop")


async def test_another_project_s_container_is_a_stranger_s(
    bench: Bench, environment: EnvironmentTable, new: Image
) -> None:
    await _labelled(bench, environment, new, {"runbook.project": "library", "runbook.release": "run-1"})
    state = await inspected(bench, environment)
    assert state.release == ""
    assert DriftKind.FOREIGN in [drift.kind for drift in drifts(HostRecord(host=ADDRESS, digest=new.digest), state)]


async def test_an_edited_env_file_is_found_by_counting_and_tells_nothing_of_it(
    bench: Bench, environment: EnvironmentTable, new: Image
) -> None:
    record = await left(bench, environment, new)
    write_env(bench.folder, "# only a comment\nCOLOUR=green\n\n")
    assert await kinds(bench, environment, record) == []
    write_env(bench.folder, "COLOUR=swordfish\nTOKEN=hunter2\n")
    state = await inspected(bench, environment)
    assert [drift.kind for drift in drifts(record, state)] == [DriftKind.ENV_FILE]
    assert state.variables == 2
    for secret in ("swordfish", "hunter2", "COLOUR", "TOKEN", "green"):
        assert secret not in state.model_dump_json()
        assert secret not in drifts(record, state)[0].model_dump_json()


@pytest.mark.parametrize("content", [None, "export COLOUR=swordfish\n"])
async def test_an_env_file_that_no_release_could_use_is_found(
    bench: Bench, environment: EnvironmentTable, new: Image, content: str | None
) -> None:
    record = await left(bench, environment, new)
    if content is None:
        (bench.folder / "files" / ENV_FILE.removeprefix("/")).unlink()
    else:
        write_env(bench.folder, content)
    state = await inspected(bench, environment)
    assert state.env_file is EnvFile.UNREADABLE
    assert "swordfish" not in state.model_dump_json()
    assert [drift.kind for drift in drifts(record, state)] == [DriftKind.ENV_FILE]


async def test_a_restart_by_hand_and_a_stop_are_found(bench: Bench, environment: EnvironmentTable, new: Image) -> None:
    record = await left(bench, environment, new)
    engine = bench.engine
    await engine.stop("shop", environment.stop_timeout)
    assert await kinds(bench, environment, record) == [DriftKind.NOT_UP]
    await engine.start("shop")
    await answered(environment)
    assert await kinds(bench, environment, record) == [DriftKind.RESTARTED]


async def test_a_second_one_beside_it_is_found_and_the_kept_one_is_none(
    bench: Bench, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    await bench.legacy(environment, old)
    record = await left(bench, environment, new)
    assert await kinds(bench, environment, record) == []
    beside = bench.environment(in_full("shop-old-10"))
    engine = bench.engine
    await engine.rename(beside.container, "shop-away")
    await bench.legacy(beside, old)
    assert await kinds(bench, environment, record) == [DriftKind.SEVERAL]


async def test_another_one_than_the_host_was_given_is_not_recorded(
    bench: Bench, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    await swap(bench, environment, old, 10)
    with pytest.raises(Refused, match=f"not {new.digest} as it was left"):
        await recorded(bench, environment, new.digest)
    assert (await recorded(bench, environment, None)).digest == old.digest


async def test_a_host_on_which_nothing_ever_ran_is_recorded_as_that(
    bench: Bench, environment: EnvironmentTable
) -> None:
    record = HostRecord.read(ADDRESS, "1.0.0", "today", (await recorded(bench, environment, None)).evidence)
    assert record is not None
    assert record.container_id == ""
    assert await kinds(bench, environment, record) == []


async def test_a_host_that_breaks_off_while_its_file_is_read_is_no_drift(
    bench: Bench, environment: EnvironmentTable, new: Image
) -> None:
    class Broken:
        async def engine(self, environment: EnvironmentTable, host: str) -> Any:
            return await bench.hosts.engine(environment, host)

        async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes:
            raise Unreachable(f"the connection to {host} broke; tried again")

    await swap(bench, environment, new, 10)
    with pytest.raises(StepError) as error:
        await inspected(bench, environment, Broken())
    assert error.value.retryable
