"""The build pipeline of the tag: found, awaited, and run again while attempts are left."""

from contextlib import AbstractContextManager, nullcontext

from runbook import steps
from runbook.orders import Orders
from runbook.pipeline import FinishedRun
from runbook.span import spoken
from runbook.status import State
from runbook.trouble import Cause
from workflows.escalation import Escalation
from workflows.failure import StepFailed
from workflows.journal import Journal


async def build(escalation: Escalation, journal: Journal, orders: Orders) -> FinishedRun:
    """The successful end of the tag's run; people are asked once all attempts failed."""
    table = orders.project.pipeline
    run = await escalation.perform(
        steps.PIPELINE_RUN, orders.run_to_find(), budget=table.appears_within, every=table.poll_every
    )
    after, failures = "", 0
    asking: AbstractContextManager[None] = nullcontext()
    while True:
        with asking:
            ended = await escalation.perform(
                steps.PIPELINE_END,
                orders.run_to_await(run.run, after),
                budget=table.finishes_within,
                every=table.poll_every,
            )
        if ended.succeeded:
            return ended
        after, failures = ended.mark, failures + 1
        failure = _failure(ended, failures)
        journal.failed(failure)
        if failures >= table.attempts:
            await escalation.wait(failure)
            failures = 0
        asking = await _again(escalation, journal, orders, ended)


async def _again(
    escalation: Escalation, journal: Journal, orders: Orders, ended: FinishedRun
) -> AbstractContextManager[None]:
    """Have it run again; where the forge can't be asked, a person is, for as long as the next end is awaited."""
    repeated = await escalation.perform(steps.PIPELINE_RERUN, orders.run_to_repeat(ended.run, ended.mark))
    journal.expect(steps.PIPELINE_END).state = State.RUNNING
    if repeated.asked:
        return nullcontext()
    within = spoken(orders.project.pipeline.finishes_within)
    wish = f"this forge can't be asked to run the pipeline again: re-run it at {repeated.url} within {within}"
    journal.note(wish)
    return escalation.asking(
        StepFailed(steps.PIPELINE_END, "", Cause.PIPELINE_FAILED, wish, [*ended.failed_jobs, *ended.log_tail])
    )


def _failure(ended: FinishedRun, failures: int) -> StepFailed:
    times = "once" if failures == 1 else f"{failures} times"
    return StepFailed(
        steps.PIPELINE_END,
        "",
        Cause.PIPELINE_FAILED,
        f"the pipeline failed {times}: {ended.url}",
        [*ended.failed_jobs, *ended.log_tail],
    )
