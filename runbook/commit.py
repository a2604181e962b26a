"""Messages about the commit: its checks, its files, its verification and its tag."""

from typing import TypedDict

from runbook.identifier import Commit, GitRef, RepoPath, Version
from runbook.message import Finding, Order, ReleaseRef
from runbook.project import ForgeTable, ProjectTable


class CommonOfCommit(TypedDict):
    """The fields that all orders about a commit share."""

    ref: ReleaseRef
    project: ProjectTable
    forge: ForgeTable
    commit: Commit


class CommitOrder(Order):
    """What every look at a commit needs: the repository, the forge's token for it, and the commit."""

    project: ProjectTable
    forge: ForgeTable
    commit: Commit


class CommitToCheck(CommitOrder):
    """Are all status contexts and Actions runs of the commit successful?"""


class GreenCommit(Finding):
    contexts: int
    runs: int


class ChangelogToRead(CommitOrder):
    path: RepoPath
    version: Version


class ChangelogSection(Finding):
    """`text` is the version's section, at most 4,000 characters."""

    text: str


class VersionFilesToRead(CommitOrder):
    paths: list[RepoPath]
    version: Version


class BumpedVersion(Finding):
    files: list[str]


class CommitToVerify(CommitOrder):
    branch: GitRef


class VerifiedCommit(Finding):
    """`evidence` is the last five commits, one line each."""

    commit: Commit


class TagToPush(CommitOrder):
    tag: GitRef
    message: str


class PushedTag(Finding):
    """`existed` says that the tag was already there, on this same commit."""

    tag: str
    commit: Commit
    existed: bool
