"""The build pipeline of the tag: found, awaited, and run again while attempts are left."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
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
    while True:
        ended = await escalation.perform(
            steps.PIPELINE_END,
            orders.run_to_await(run.run, after),
            budget=table.finishes_within,
            every=table.poll_every,
        )
        if ended.succeeded:
            return ended
        failures, after = failures + 1, ended.mark
        if failures >= table.attempts:
            failure = _failure(ended, failures)
            journal.failed(failure)
            await escalation.wait(failure)
            failures = 0
        await _again(escalation, journal, orders, ended)


async def _again(escalation: Escalation, journal: Journal, orders: Orders, ended: FinishedRun) -> None:
    repeated = await escalation.perform(steps.PIPELINE_RERUN, orders.run_to_repeat(ended.run))
    row = journal.expect(steps.PIPELINE_END)
    row.state, row.trouble = State.RUNNING, f"failed: {', '.join(ended.failed_jobs) or ended.url}"
    if not repeated.asked:
        within = spoken(orders.project.pipeline.finishes_within)
        row.trouble += f"; this forge can't be asked to run it again: re-run it at {ended.url} within {within}"
        journal.note(row.trouble)
    journal.changed()


def _failure(ended: FinishedRun, failures: int) -> StepFailed:
    return StepFailed(
        steps.PIPELINE_END,
        "",
        Cause.PIPELINE_FAILED,
        f"the pipeline failed {failures} times: {ended.url}",
        [*ended.failed_jobs, *ended.log_tail],
    )
