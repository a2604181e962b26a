"""Worker Deployment Versioning: of which build this worker is, and whether Temporal gives that build anything to do."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest, DescribeWorkerDeploymentResponse
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from process.settings import WorkerSettings

log = structlog.stdlib.get_logger()

_BEHAVIOURS = {"pinned": VersioningBehavior.PINNED, "auto_upgrade": VersioningBehavior.AUTO_UPGRADE}
_PATIENCE = timedelta(seconds=10)
_LOOK_EVERY = 0.1


def deployment_of(settings: WorkerSettings) -> WorkerDeploymentConfig | None:
    """None where builds are not told apart: every worker takes everything."""
    if settings.deployment is None or settings.build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.deployment, settings.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=_BEHAVIOURS[settings.versioning or "pinned"],
    )


async def say_standing(client: Client, version: WorkerDeploymentVersion) -> None:
    """A build that is not current gets no new release, and as long as none is, nobody gets anything: that is said."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=version.deployment_name)
    try:
        described = await _described(client, request)
    except RPCError as error:
        log.warning("can't see whether this build is the current one", build=version.build_id, why=error.message)
        return
    current = described.worker_deployment_info.routing_config.current_deployment_version.build_id
    if current == version.build_id:
        log.info("this build is the current one", deployment=version.deployment_name, build=current)
        return
    log.warning(
        "this build is not the current one and gets no new release",
        deployment=version.deployment_name,
        build=version.build_id,
        current=current or "none",
        command="temporal worker deployment set-current-version --deployment-name "
        f"{version.deployment_name} --build-id {version.build_id}",
    )


async def _described(client: Client, request: DescribeWorkerDeploymentRequest) -> DescribeWorkerDeploymentResponse:
    """A deployment is known a moment after the first poll of its first build."""
    until = asyncio.get_running_loop().time() + _PATIENCE.total_seconds()
    while True:
        try:
            return await client.workflow_service.describe_worker_deployment(request, timeout=_PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(_LOOK_EVERY)
