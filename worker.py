"""The worker: settings, clients, groups, Worker, in this order. Everything else is given what it needs; only this constructs."""

from process import packages

packages.require("worker.py", "temporalio", "pydantic", "httpx", "structlog", "asyncssh")

import argparse
import asyncio
import functools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import httpx
import structlog
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor, Worker

from activities.artifact import ArtifactActivities
from activities.binding import performances
from activities.checkout import Checkouts
from activities.clients.forge import ForgeClient
from activities.clients.git import GitClient
from activities.clients.git_push import Tagger
from activities.clients.health import HttpProbe
from activities.clients.histories import TemporalHistories
from activities.clients.hosts import Hosts
from activities.clients.http import new_client
from activities.clients.lane import TemporalLane
from activities.clients.ledger import Ledger
from activities.clients.manifest import ManifestClient
from activities.clients.notifier import Notifier
from activities.clients.process import Processes
from activities.clients.registry import Registry
from activities.commands import CommandActivities
from activities.commit import CommitActivities
from activities.drift import DriftActivities
from activities.drift_check import DriftCheckActivities
from activities.errors import Refused
from activities.health import HealthActivities
from activities.hosts import HostActivities
from activities.inspection import InspectionActivities
from activities.interceptor import StepInterceptor
from activities.ledger import LedgerActivities
from activities.notices import NoticeActivities
from activities.pipeline import PipelineActivities
from activities.planning import PlanningActivities
from activities.projects import Projects
from activities.record import RecordActivities
from activities.secret import read_secret
from activities.sender import SenderActivities
from activities.signature import SignatureActivities
from activities.soak import SoakActivities
from activities.window import WindowActivities
from process import logs
from process.attributes import ensure_search_attributes
from process.connection import Target, connect
from process.ending import end
from process.redaction import Redaction, keep_learning
from process.references import known_secrets
from process.runner import Runner
from process.running import run
from process.settings import BadSettings, WorkerSettings, together
from process.stopping import Stopping
from process.telemetry import worker_runtime
from process.versioning import deployment_of
from process.waiting import keep_counting
from workflows.drift_check import DriftWorkflow
from workflows.release import ReleaseWorkflow
from workflows.rollback import RollbackWorkflow

log = structlog.stdlib.get_logger()

_ABOUT = (
    "The worker that performs releases: it serves one task queue of Temporal until SIGTERM or SIGINT asks it to stop."
)
_SETTINGS = (
    "It takes no words. Its settings come from RUNBOOK_* variables, and where Temporal is from TEMPORAL_*: "
    "see docs/operations.md and deploy/env.example. Exit status: 0 stopped cleanly, 1 something fatal, "
    "2 wrong settings or words."
)
_SPARE_THREADS = 8
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Reach:
    """What reaches the outside, and what stands around every step: apart, so that a test can cut it anywhere."""

    http: Callable[[], httpx.AsyncClient] = new_client
    git: Callable[[Path, Tagger], GitClient] = GitClient
    hosts: Callable[[], Hosts] = Hosts
    ledger: Callable[[str], Ledger] = Ledger
    notifier: Callable[[], Notifier] = Notifier
    around: Callable[[StepInterceptor], Sequence[Interceptor]] = lambda step: [step]


def main(reach: Reach | None = None, words: Sequence[str] = ()) -> NoReturn:
    """Exit status: 0 stopped cleanly, 1 something fatal, 2 wrong settings or words."""
    argparse.ArgumentParser(prog="worker.py", description=_ABOUT, epilog=_SETTINGS).parse_args(words)
    try:
        settings, target = together(WorkerSettings.read, Target.read)
        runtime = worker_runtime(settings.metrics)
    except BadSettings as bad:
        sys.stderr.write("".join(f"{fault}\n" for fault in bad.faults))
        end(2)
    redaction = Redaction()
    redaction.learn(target.secrets() | settings.secrets() | known_secrets(settings.projects, read_secret))
    logs.configure(settings.log_format, settings.log_level, redaction)
    end(asyncio.run(work(settings, target, runtime, redaction, reach or Reach())))


async def work(settings: WorkerSettings, target: Target, runtime: Runtime, redaction: Redaction, reach: Reach) -> int:
    """Serve until somebody asks to stop; gives the exit status."""
    stopping = Stopping(settings.patience)
    stopping.listen()
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(settings.max_activities + _SPARE_THREADS, thread_name_prefix="step")
    )
    secrets = functools.partial(known_secrets, settings.projects, read_secret)
    besides = [asyncio.create_task(keep_learning(redaction, secrets))]
    log.info("worker starts", temporal=str(target), task_queue=settings.task_queue, projects=str(settings.projects))
    try:
        client = await stopping.unless_asked(connect(target, program="worker", runtime=runtime))
        if client is not None:
            if settings.metrics:
                names = Projects(settings.projects).names
                besides.append(asyncio.create_task(keep_counting(client, runtime.metric_meter, names)))
            await serve(settings, client, stopping, reach)
    except Exception:
        log.exception("the worker can't go on")
        return 1
    for task in besides:
        task.cancel()
    log.info("worker stopped")
    return 0


async def serve(settings: WorkerSettings, client: Client, stopping: Stopping, reach: Reach) -> None:
    async with AsyncExitStack() as closing:
        git = reach.git(settings.state / "git", Tagger(*settings.tagger))
        hosts, http, probe = reach.hosts(), reach.http(), HttpProbe()
        ledger = reach.ledger(settings.ledger_url.get_secret_value())
        for close in (hosts.close, http.aclose, probe.aclose):
            closing.push_async_callback(close)
        closing.callback(ledger.close)
        forge, registry = ForgeClient(http), Registry(http)
        checkouts = Checkouts(git)
        projects = Projects(settings.projects)
        lane = TemporalLane(client)
        searchable = await ensure_search_attributes(client)
        deployment = deployment_of(settings)

        groups = (
            PlanningActivities(projects, git, hosts, ledger, lane, lambda: searchable),
            CommitActivities(git, forge, checkouts),
            CommandActivities(checkouts, Processes(), probe),
            PipelineActivities(forge),
            ArtifactActivities(registry, ManifestClient(git, http, hosts), hosts),
            WindowActivities(),
            SignatureActivities(),
            SenderActivities(TemporalHistories(client)),
            DriftActivities(registry, projects),
            HostActivities(hosts, probe),
            HealthActivities(probe, hosts),
            SoakActivities(probe),
            DriftCheckActivities(projects, ledger, lane, lambda: searchable),
            InspectionActivities(hosts),
            RecordActivities(forge, ledger),
            NoticeActivities(reach.notifier(), ledger),
            LedgerActivities(ledger),
        )
        worker = Worker(
            client,
            task_queue=settings.task_queue,
            workflows=[ReleaseWorkflow, RollbackWorkflow, DriftWorkflow],
            activities=performances(*groups),
            interceptors=reach.around(StepInterceptor(ledger)),
            deployment_config=deployment,
            max_concurrent_activities=settings.max_activities,
            max_cached_workflows=200,
            graceful_shutdown_timeout=settings.patience,
            # After a kill -9, a task for the dead worker's own queue waits this long before another gets it.
            sticky_queue_schedule_to_start_timeout=_SECOND,
            # A cancellation is heard with the next heartbeat that is really sent.
            max_heartbeat_throttle_interval=_SECOND,
            default_heartbeat_throttle_interval=_SECOND,
            workflow_runner=Runner(),
        )
        complain(projects)
        await run(worker, stopping.asked, deployment.version if deployment else None)


def complain(projects: Projects) -> None:
    """Name at start what is wrong with any project's file; it stops only that project's releases."""
    for name in projects.names():
        try:
            projects.load(name)
        except Refused as refused:
            log.warning("a project's file is wrong, its releases will be refused", project=name, why=str(refused))


if __name__ == "__main__":
    main(words=sys.argv[1:])
