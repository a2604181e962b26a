"""The sandbox's build pipeline: a pushed tag becomes a run, its build an image, its digest a line of the manifest."""

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from deploy.sandbox.forge_git import Repository
from deploy.sandbox.forge_store import Document, ForgeStore
from deploy.sandbox.pipeline_build import build_and_push
from deploy.sandbox.pipeline_records import Records
from deploy.sandbox.pipeline_settings import PipelineSettings
from deploy.sandbox.pipeline_workflow import FOLDER, Workflow, parse_workflow, skips

LOOK_SECONDS = 0.02


class Pipeline:
    """What is under way is in the store, so that a forge that was killed goes on where it was.

    `settings` may be replaced at any time.
    """

    def __init__(
        self, store: ForgeStore, repositories: Mapping[str, Repository], settings: PipelineSettings, user: str
    ) -> None:
        self.settings = settings
        self._records = Records(store, user)
        self._repositories = repositories
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Takes up what was under way when the forge ended."""
        for name in self._repositories:
            self._records.drop_stale_tasks(name)
            for push in self._records.pushes(name):
                self._spawn(f"push {push['id']}", self._appear(push))
            for run in self._records.unfinished(name):
                self._spawn(_key(run), self._execute(run))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pushed(self, repository: Repository, ref: str, sha: str, event: str = "push") -> None:
        """Notes a new tag on commit `sha`; its run appears a moment later, if there is to be one."""
        if ref.startswith("refs/tags/"):
            push = self._records.note_push(repository.full_name, ref, sha, event)
            self._spawn(f"push {push['id']}", self._appear(push))

    def rerun(self, run: Document, *, failed_only: bool = False) -> None:
        """Puts a finished run's jobs, or only those that did not succeed, back into the queue."""
        if self._records.requeue(run, failed_only=failed_only):
            self._spawn(_key(run), self._execute(run))

    async def _appear(self, push: Document) -> None:
        await asyncio.sleep(self.settings.appears_after)
        if self.settings.mode != "never_starts":
            message = (await self._repositories[push["repo"]].commit(push["sha"])).message
            for workflow in [] if skips(message) else await self._wanting(push):
                self._cancel_previous(push, workflow)
                run = self._records.create_run(push, workflow, message.splitlines()[0])
                if run is not None:
                    self._spawn(_key(run), self._execute(run))
        self._records.forget_push(push)

    async def _wanting(self, push: Document) -> list[Workflow]:
        """The workflows of the tagged commit that this tag starts."""
        repository, sha = self._repositories[push["repo"]], push["sha"]
        files = [name for kind, _, name in await repository.tree(sha, FOLDER) if kind == "blob"]
        found = [parse_workflow(name, await repository.read(sha, f"{FOLDER}/{name}") or b"") for name in files]
        tag = push["ref"].removeprefix("refs/tags/")
        return [workflow for workflow in found if workflow and workflow.wants(tag)]

    def _cancel_previous(self, push: Document, workflow: Workflow) -> None:
        for run in self._records.unfinished(push["repo"], ref=push["ref"], workflow=workflow.file):
            if run["push"] != push["id"]:
                if task := self._tasks.get(_key(run)):
                    task.cancel()
                self._records.finish_run(run, "cancelled")

    async def _execute(self, run: Document) -> None:
        await asyncio.sleep(self.settings.queued_for)
        while self.settings.mode == "stays_queued":
            await asyncio.sleep(LOOK_SECONDS)
        self._records.start_run(run)
        outcome = "success"
        for job in self._records.jobs(run):
            if job["status"] == "success":
                continue
            if outcome != "success":
                self._records.skip_job(job)
            elif not await self._perform(run, job):
                outcome = "failure"
        self._records.finish_run(run, outcome)

    async def _perform(self, run: Document, job: Document) -> bool:
        settings, failures = self.settings, self._records.failures(run, job)
        task = self._records.take_job(run, job)
        try:
            await asyncio.sleep(settings.takes)
            if failures < settings.fail_first:
                raise RuntimeError(f"the sandbox was told to fail the first {settings.fail_first} builds")
            if job["name"] == "build":
                build = str(task["id"]) if settings.rebuilds_differ else ""
                log = partial(self._records.log, job)
                await build_and_push(self._repositories[run["repo"]], run["ref"], run["sha"], settings, build, log)
        except asyncio.CancelledError:
            # Whoever cancels says what becomes of the run: a newer push, or the next start of the forge.
            self._records.cancel_task(task)
            raise
        except Exception as problem:
            self._records.log(job, f"error: {problem}")
            self._records.end_job(run, job, task, "failure")
            return False
        self._records.end_job(run, job, task, "success")
        return True

    def _spawn(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=key)
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: str, done: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is done:
            del self._tasks[key]


def _key(run: Document) -> str:
    return f"run {run['id']}"
