"""Messages about the project's own commands, run in a clean checkout of the commit."""

from datetime import timedelta

from runbook.identifier import Command, Commit
from runbook.message import Finding, Order
from runbook.project import ForgeTable, ProjectTable


class CommandToRun(Order):
    """`words` run without a shell in a checkout of `commit`, killed after `within`."""

    project: ProjectTable
    forge: ForgeTable
    commit: Commit
    words: Command
    within: timedelta
    environment: dict[str, str] = {}


class FinishedCommand(Finding):
    """A command that exited 0; `evidence` is the tail of its output."""

    seconds: float


class SmokeTest(CommandToRun):
    """The smoke test against one staging address, and what the service itself must say afterwards."""

    host: str
    target: str
    health_url: str
    version_url: str
    version: str
