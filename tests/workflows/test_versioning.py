"""Pinned to the build that it began with: a release, the new run of its gate, and the rollback that it starts."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from runbook import names, steps
from runbook.status import Outcome
from tests.projects import DIGEST
from tests.servers import TemporalServer
from tests.workflows.brief_release import LONGEST, BriefRelease
from tests.workflows.conftest import Handle
from tests.workflows.real_lane import RealLane

OLD, NEW = "1.0.0", "1.1.0"


@pytest.fixture
async def real(temporal: TemporalServer, unbroken_log: None) -> AsyncGenerator[RealLane]:
    lane = RealLane(temporal)
    lane.release = BriefRelease
    yield lane
    await lane.assert_unbroken()


async def build(real: RealLane, name: str) -> Worker:
    version = WorkerDeploymentVersion(real.project, name)
    return await real.worker(deployment_config=WorkerDeploymentConfig(version, True, VersioningBehavior.PINNED))


async def make_current(worker: Worker, deployment: str, name: str) -> None:
    """Tried until Temporal has heard of the build."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=worker.client.namespace, deployment_name=deployment, build_id=name
    )
    async with asyncio.timeout(20):
        while True:
            try:
                await worker.client.workflow_service.set_worker_deployment_current_version(request)
                return
            except RPCError:
                await asyncio.sleep(0.1)


async def builds(handle: Handle) -> set[str]:
    """Which builds performed the run's workflow tasks."""
    return {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    }


async def test_the_rollback_and_the_gates_new_run_stay_with_the_build_too(real: RealLane) -> None:
    hold = real.crew.hold(steps.RECORD, stubborn=True)
    async with await build(real, OLD) as old, await build(real, NEW) as new:
        await make_current(old, real.project, OLD)
        handle = await real.start()
        await real.until(handle, lambda status: status.gate is not None)
        await make_current(new, real.project, NEW)
        for _ in range(LONGEST):
            await handle.signal(names.APPROVE, {"by": "mallory", "digest": DIGEST})
            if (await handle.describe()).run_id != handle.result_run_id:
                break
        await handle.signal(names.APPROVE, {"by": "alice", "digest": DIGEST})
        async with asyncio.timeout(20):
            await hold.reached.wait()
        await handle.signal(names.ROLL_BACK, {"by": "bob", "reason": "checkout fails"})
        hold.let_go.set()
        assert (await handle.result())["outcome"] == Outcome.ROLLED_BACK
        assert (await handle.describe()).run_id != handle.result_run_id
        child = old.client.get_workflow_handle(names.rollback_lane(real.project))
        assert (await builds(handle), await builds(child)) == ({OLD}, {OLD})
