"""Messages about the build pipeline of the tag."""

from runbook.identifier import Commit
from runbook.message import Finding, Order
from runbook.project import ForgeTable, PipelineTable, ProjectTable


class RunToFind(Order):
    """The pipeline's run for this tag on this commit; `after` excludes an earlier attempt's run (0: none)."""

    project: ProjectTable
    forge: ForgeTable
    pipeline: PipelineTable
    tag: str
    commit: Commit


class PipelineRun(Finding):
    """`run` is the forge's id of it, `attempt_of_run` counts its re-runs where the forge says so."""

    run: int
    number: int
    url: str
    state: str


class RunToAwait(RunToFind):
    run: int


class FinishedRun(Finding):
    """A run that came to an end: `succeeded` or not, with links to the failed jobs and the tail of their logs."""

    run: int
    url: str
    succeeded: bool
    failed_jobs: list[str] = []
    log_tail: list[str] = []


class RunToRepeat(RunToAwait):
    """Ask the forge to run the failed run again."""


class RepeatedRun(Finding):
    """`asked` False: this forge can't be asked, a person has to re-run it."""

    asked: bool
    url: str
