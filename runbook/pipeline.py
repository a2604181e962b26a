"""Messages about the build pipeline of the tag."""

from runbook.commit import CommonOfCommit
from runbook.identifier import Commit
from runbook.message import Finding, Order
from runbook.project import ForgeTable, PipelineTable, ProjectTable


class CommonOfRun(CommonOfCommit):
    """The fields that all orders about the tag's run share."""

    pipeline: PipelineTable
    tag: str


class RunToFind(Order):
    """The pipeline's run for this tag on this commit."""

    project: ProjectTable
    forge: ForgeTable
    pipeline: PipelineTable
    tag: str
    commit: Commit


class PipelineRun(Finding):
    """`run` is the forge's id of it, `number` the one in its web address."""

    run: int
    number: int
    url: str
    state: str


class RunToAwait(RunToFind):
    """Wait for this run's end; an end whose `mark` is `after` was seen already and is not the one waited for."""

    run: int
    after: str = ""


class FinishedRun(Finding):
    """A run that came to an end: `succeeded` or not, with links to the failed jobs and the tail of their logs.

    `mark` tells this end from the end of a later re-run of the same run (for instance id, attempt and end time).
    """

    run: int
    mark: str = ""
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
