"""Whether the tag's run has come to an end, on a forge that tells of runs and on one that tells of jobs alone."""

from collections.abc import Sequence

from activities.clients.forge import ForgeRepository, Run, State


async def state_of(repository: ForgeRepository, run: Run, expected: Sequence[str]) -> tuple[State, str]:
    """The state of the whole run, and what is to be said of it; `expected` are jobs that must all succeed."""
    if run.seen is not None:
        return await _of_jobs_seen(repository, run, expected), ""
    if run.state is State.SKIPPED:
        return State.FAILURE, " because all of it was skipped"
    if run.state is State.SUCCESS and expected:
        return await _with_all_jobs(repository, run, expected)
    return run.state, ""


async def _with_all_jobs(repository: ForgeRepository, run: Run, expected: Sequence[str]) -> tuple[State, str]:
    """A run whose jobs were skipped by a condition is a success to the forge, and no build."""
    jobs = await repository.jobs(run)
    if jobs is None:
        return run.state, ""
    succeeded = {job.name for job in jobs if job.state is State.SUCCESS}
    missing = [name for name in expected if name not in succeeded]
    return (State.FAILURE, f" because {', '.join(missing)} did not run") if missing else (run.state, "")


async def _of_jobs_seen(repository: ForgeRepository, run: Run, expected: Sequence[str]) -> State:
    """Only jobs that a runner took have a row: until all expected ones have, and nothing pends, it goes on."""
    if not run.state.done:
        return run.state
    contexts = await repository.contexts(run.commit)
    if any(run.owns(context.url) and not context.state.done for context in contexts):
        return State.RUNNING
    if run.state.broken:
        return run.state
    seen = {job.name for job in run.seen or () if job.state is State.SUCCESS}
    return State.SUCCESS if seen.issuperset(expected) else State.WAITING
