"""What hands do to production between two releases, on a real engine: each of it is found, and nothing else."""

import asyncio

import pytest

from activities.inspection import InspectionActivities
from runbook.host_drift import DriftKind, drifts
from runbook.host_state import EnvFile, HostRecord, HostState, HostToInspect, HostToRecord
from runbook.image import Image
from tests.activities.performing import perform
from tests.hosts.host import ENV_FILE, Host
from tests.hosts.shop import Service, Shop, ref

pytestmark = pytest.mark.hosts


@pytest.fixture
def service(shop: Shop, host: Host) -> Service:
    return shop.service(host)


async def inspected(service: Service) -> HostState:
    order = HostToInspect(
        ref=ref(90), environment=service.environment, host=service.host.address, artifact=service.shop.artifact()
    )
    return await perform(InspectionActivities(service.shop.hosts).inspect, order)


async def left(service: Service, image: Image) -> HostRecord:
    """What a swap left there, as the ledger keeps it."""
    await service.swap(image, 2)
    await service.version()
    order = HostToRecord(
        ref=ref(2),
        environment=service.environment,
        host=service.host.address,
        artifact=service.shop.artifact(),
        digest=image.digest,
    )
    state = await perform(InspectionActivities(service.shop.hosts).record, order)
    record = HostRecord.read(service.host.address, image.version, "today", state.evidence)
    assert record is not None
    return record


async def found(service: Service, record: HostRecord) -> list[DriftKind]:
    return [drift.kind for drift in drifts(record, await inspected(service))]


async def test_what_a_swap_left_is_no_drift_and_the_env_file_is_the_container_s(
    service: Service, host: Host, new: Image
) -> None:
    host.write(ENV_FILE, '# what it needs\nCOLOUR=green and blue\nQUOTED="as is" $HOME\n\nEMPTY=\nURL=a=b#c\nALONE\n')
    record = await left(service, new)
    state = await inspected(service)
    assert drifts(record, state) == []
    assert (state.env_file, state.variables, state.digest) == (EnvFile.SAME, 0, new.digest)


async def test_a_container_started_again_by_hand_is_found(service: Service, host: Host, new: Image) -> None:
    record = await left(service, new)
    await asyncio.to_thread(host.run, "docker", "restart", service.environment.container)
    await service.version()
    state = await inspected(service)
    assert [drift.kind for drift in drifts(record, state)] == [DriftKind.RESTARTED]
    assert state.restarts == 0, "its engine counts from zero: only the start tells"


async def test_a_container_that_crashed_and_came_back_is_found(service: Service, host: Host, new: Image) -> None:
    record = await left(service, new)
    host.kill_main_process(service.environment.container)
    async with asyncio.timeout(20):
        while (state := await inspected(service)).restarts == 0 or state.state != "running":
            await asyncio.sleep(0.1)
    [drift] = drifts(record, state)
    assert drift.kind is DriftKind.RESTARTED
    assert "restarted 1 times, recorded is 0" in drift.what


async def test_a_container_replaced_by_hand_is_found(service: Service, host: Host, old: Image, new: Image) -> None:
    record = await left(service, new)
    await asyncio.to_thread(host.run, "docker", "rm", "--force", service.environment.container)
    assert await found(service, record) == [DriftKind.NO_CONTAINER]
    await service.legacy(old)
    kinds = await found(service, record)
    assert kinds[:2] == [DriftKind.OTHER_DIGEST, DriftKind.FOREIGN]


async def test_the_same_image_by_hand_is_no_other_digest_but_a_stranger_s(
    service: Service, host: Host, new: Image
) -> None:
    record = await left(service, new)
    await asyncio.to_thread(host.run, "docker", "rm", "--force", service.environment.container)
    words = ["docker", "run", "--detach", "--name", service.environment.container, "--env-file", ENV_FILE, new.pinned]
    await asyncio.to_thread(host.run, *words)
    assert await found(service, record) == [DriftKind.FOREIGN]


async def test_an_edited_env_file_is_found_and_put_back_it_is_none(service: Service, host: Host, new: Image) -> None:
    record = await left(service, new)
    host.write(ENV_FILE, "COLOUR=swordfish\nTOKEN=hunter2\n")
    state = await inspected(service)
    assert [drift.kind for drift in drifts(record, state)] == [DriftKind.ENV_FILE]
    assert state.variables == 2
    assert "swordfish" not in state.model_dump_json()
    host.write(ENV_FILE, "# a comment makes no difference\nCOLOUR=green\n")
    assert await found(service, record) == []


async def test_what_was_put_back_is_what_is_recorded(service: Service, old: Image, new: Image) -> None:
    await service.legacy(old)
    back = await service.way_back(2)
    await service.swap(new, 2, back)
    await service.put_back(back, 3, failed=2)
    state = await inspected(service)
    record = HostRecord.read(service.host.address, old.version, "today", state.evidence)
    assert record is not None
    assert state.digest == old.digest
    assert DriftKind.FOREIGN not in await found(service, record)
