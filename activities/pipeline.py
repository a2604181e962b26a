"""The build pipeline of the tag: its run found, looked at until it ends, and asked for once more."""

import asyncio
import contextlib

from activities.binding import performs
from activities.clients.forge import ForgeClient, ForgeRepository, Job, Run, State
from activities.errors import NotYet, Refused, StepError
from activities.run_state import state_of
from runbook import pipeline as messages
from runbook import steps

_LOGS_OF = 2
_LOG_SECONDS = 4.0
_SHOWN = 20
_SHORT = 149
_LONGEST = 300


class PipelineActivities:
    def __init__(self, forge: ForgeClient) -> None:
        self._forge = forge

    @performs(steps.PIPELINE_RUN)
    async def find(self, order: messages.RunToFind) -> messages.PipelineRun:
        """The newest run of the tag's push; the step's budget says when to stop looking."""
        repository = await self._repository(order)
        run = await _newest(repository, order)
        if run is None:
            raise NotYet(
                f"{repository.page} has no run of {order.pipeline.workflow} for {order.tag} on {order.commit[:12]} yet: "
                f"check on.push.tags of that file at the tagged commit, and that its message skips no CI",
                again=order.pipeline.poll_every,
            )
        _demand_job_names(order, run, repository)
        return messages.PipelineRun(
            run=run.id,
            number=run.number,
            url=run.url,
            state=run.state,
            summary=f"run {run.number} of {run.workflow} for {order.tag} is {run.state}"[:_SHORT],
            evidence=[run.url, f"{run.workflow} {run.event} {run.ref} {run.commit}"],
        )

    @performs(steps.PIPELINE_END)
    async def end(self, order: messages.RunToAwait) -> messages.FinishedRun:
        """How the tag's run ended. A newer run of the same tag and commit, from a tag pushed again, answers for it."""
        repository = await self._repository(order)
        run = await _newest(repository, order)
        if run is None or run.id < order.run:
            raise Refused(
                f"run {order.run} of {order.tag} is gone from {repository.page}: was it deleted? push the tag again"
            )
        _demand_job_names(order, run, repository)
        state, why = await state_of(repository, run, order.pipeline.jobs)
        if not state.done:
            raise NotYet(f"run {run.number} of {order.tag} is {state}: {run.url}", again=order.pipeline.poll_every)
        mark = await repository.mark_of(run)
        if mark.same_as(order.after):
            raise NotYet(
                f"run {run.number} of {order.tag} was not started again yet: {run.url}", again=order.pipeline.poll_every
            )
        if state is State.SUCCESS:
            return messages.FinishedRun(
                run=run.id,
                mark=str(mark),
                url=run.url,
                succeeded=True,
                evidence=[run.url],
                summary=f"run {run.number} of {run.workflow} succeeded"[:_SHORT],
            )
        return await self._failed(repository, run, str(mark), f"{state}{why}")

    @performs(steps.PIPELINE_RERUN)
    async def rerun(self, order: messages.RunToRepeat) -> messages.RepeatedRun:
        """Ask for the failed run once more, unless it is under way already; a run that ended anew meanwhile is left alone."""
        repository = await self._repository(order)
        run = await _newest(repository, order)
        if run is None or run.id < order.run:
            raise Refused(f"run {order.run} of {order.tag} is gone from {repository.page}: push the tag again")
        if run.id > order.run or not run.state.done or run.state is State.SUCCESS:
            return _repeated(run, f"run {run.number} is {run.state} already")
        if order.after and not (await repository.mark_of(run)).same_as(order.after):
            return _repeated(run, f"run {run.number} was started again already")
        refusal = await repository.rerun(run)
        if not refusal:
            return _repeated(run, f"run {run.number} is started again")
        now = await _newest(repository, order)
        if now and not now.state.done:
            return _repeated(now, f"run {now.number} is {now.state} already")
        return messages.RepeatedRun(
            asked=False, url=run.url, summary=f"{refusal}: re-run it at {run.url}"[:_SHORT], evidence=[run.url]
        )

    async def _failed(self, repository: ForgeRepository, run: Run, mark: str, why: str) -> messages.FinishedRun:
        jobs = [job for job in await repository.jobs(run) or [] if job.state.broken]
        tail = list[str]()
        for job in jobs[:_LOGS_OF]:
            tail += [f"{job.name}: {line}"[:_LONGEST] for line in await _log(repository, job)]
        failed = [f"{job.name}: {job.url}"[:_LONGEST] for job in jobs]
        return messages.FinishedRun(
            run=run.id,
            mark=mark,
            url=run.url,
            succeeded=False,
            failed_jobs=failed[:_SHOWN],
            log_tail=tail[-_SHOWN:],
            summary=f"run {run.number} of {run.workflow} ended as {why}"[:_SHORT],
            evidence=[*failed, *tail][-_SHOWN:] or [run.url],
        )

    async def _repository(self, order: messages.RunToFind) -> ForgeRepository:
        return await self._forge.repository(order.project, order.forge)


async def _newest(repository: ForgeRepository, order: messages.RunToFind) -> Run | None:
    runs = await repository.runs(order.commit, tag=order.tag, workflow=order.pipeline.workflow)
    return max(runs, key=lambda run: run.id, default=None)


def _demand_job_names(order: messages.RunToFind, run: Run, repository: ForgeRepository) -> None:
    if run.seen is not None and not order.pipeline.jobs:
        raise Refused(
            f"{repository.product} shows jobs and no runs, so it can't be told when all of {run.workflow} is done: "
            "name its jobs in pipeline.jobs of the project's file, or upgrade the forge"
        )


def _repeated(run: Run, summary: str) -> messages.RepeatedRun:
    return messages.RepeatedRun(asked=True, url=run.url, summary=summary, evidence=[run.url])


async def _log(repository: ForgeRepository, job: Job) -> list[str]:
    """A log is good to have, and nothing to wait or fail for."""
    with contextlib.suppress(StepError, TimeoutError):
        async with asyncio.timeout(_LOG_SECONDS):
            return await repository.log_tail(job)
    return []
