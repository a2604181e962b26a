"""The commit: its checks, changelog and version files, its place on the branch, and its tag."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from temporalio import activity

from activities.binding import performs
from activities.changelog import section_of
from activities.checkout import Checkouts
from activities.clients.forge import Context, ForgeClient, Run, State
from activities.clients.git import GitClient
from activities.errors import NotYet, Refused, Unreachable
from activities.version_file import stated_version
from runbook import commit as messages
from runbook import steps
from runbook.identifier import tag_of

_PENDING_AGAIN = timedelta(seconds=20)
_SKIPS = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
_SHOWN = 20
_SHORT = 149
_LOOKS_FOR_ANY = 6


class CommitActivities:
    def __init__(self, git: GitClient, forge: ForgeClient, checkouts: Checkouts) -> None:
        self._git = git
        self._forge = forge
        self._checkouts = checkouts

    @performs(steps.CI_GREEN)
    async def ci_green(self, order: messages.CommitToCheck) -> messages.GreenCommit:
        """The release's own tag is no prerequisite of itself: what its pipeline did in an earlier try is left out."""
        repository = await self._forge.repository(order.project, order.forge)
        runs = await repository.runs(order.commit)
        own = [run for run in runs if run.is_push_of(tag_of(order.ref.version))]
        counted = _newest(run for run in runs if run not in own)
        contexts = [
            context
            for context in await repository.contexts(order.commit)
            if not any(run.owns(context.url) for run in own)
        ]
        checks = [*contexts, *(Context(_name(run), run.state, run.url) for run in counted)]
        _demand_green(checks, f"commit {order.commit[:12]} at {repository.page}", order.project.branch)
        return messages.GreenCommit(
            contexts=len(contexts),
            runs=len(counted),
            summary=f"{len(contexts)} status contexts and {len(counted)} runs, all successful",
            evidence=[f"{check.state}: {check.name}"[:300] for check in checks][:_SHOWN],
        )

    @performs(steps.CHANGELOG)
    async def changelog(self, order: messages.ChangelogToRead) -> messages.ChangelogSection:
        content = await self._read(order, order.path)
        section = section_of(content.decode(errors="replace"), order.version)
        if not section:
            what = "has no section" if section is None else "has an empty section"
            raise Refused(
                f"{order.path} at {order.commit[:12]} {what} for {order.version}: write one under the heading "
                f"## [{order.version}], commit it, and release that commit"
            )
        return messages.ChangelogSection(
            text=section,
            summary=f"{order.path} says what {order.version} changes"[:_SHORT],
            evidence=[line[:300] for line in section.splitlines() if line.strip()][:_SHOWN],
        )

    @performs(steps.VERSION_BUMP)
    async def version_bump(self, order: messages.VersionFilesToRead) -> messages.BumpedVersion:
        said = await self._versions(order, order.paths, order.version)
        return messages.BumpedVersion(
            files=order.paths, summary=f"{', '.join(order.paths)}: {order.version}"[:_SHORT], evidence=said[:_SHOWN]
        )

    @performs(steps.VERIFY_COMMIT)
    async def verify_commit(self, order: messages.CommitToVerify) -> messages.VerifiedCommit:
        where = (order.project, order.forge)
        head = await self._git.branch_commit(*where, order.branch)
        if head is None:
            raise Refused(
                f"{order.project.owner}/{order.project.name} has no branch {order.branch}: check project.branch"
            )
        behind = await self._git.commits_behind(*where, order.commit, head)
        if behind is None:
            raise Refused(
                f"commit {order.commit[:12]} is not on branch {order.branch} (head {head[:12]}): "
                "merge it, or release a commit of that branch"
            )
        said = await self._versions(order, order.project.version_files, order.ref.version)
        async with self._checkouts.of(*where, order.commit):
            clean = f"clean checkout of {order.commit}"
        ahead = "its head" if behind == 0 else f"{behind} commits behind its head"
        lines = await self._git.last_commits(*where, order.commit)
        skips = await self._skips_ci(order)
        return messages.VerifiedCommit(
            commit=order.commit,
            summary=f"{order.commit[:12]} is on {order.branch}, {ahead}, and clean{'; ' + skips if skips else ''}"[
                :_SHORT
            ],
            evidence=[*lines, clean, *said, *([skips] if skips else [])][:_SHOWN],
        )

    @performs(steps.TAG)
    async def tag(self, order: messages.TagToPush) -> messages.PushedTag:
        existed = await self._git.push_tag(order.project, order.forge, order.commit, order.tag, order.message)
        how = "was there already" if existed else "is pushed"
        return messages.PushedTag(
            tag=order.tag,
            commit=order.commit,
            existed=existed,
            summary=f"{order.tag} {how}, on {order.commit[:12]}"[:_SHORT],
            evidence=[f"refs/tags/{order.tag}^{{}} {order.commit}"],
        )

    async def _read(self, order: messages.CommitOrder, path: str) -> bytes:
        content = await self._git.read(order.project, order.forge, order.commit, path)
        if content is None:
            raise Refused(f"commit {order.commit[:12]} has no file {path}: add it, or correct the project's file")
        return content

    async def _versions(self, order: messages.CommitOrder, paths: Sequence[str], version: str) -> list[str]:
        """What each file says; Refused names every one that says something else."""
        said, wrong = list[str](), list[str]()
        for path in paths:
            content = await self._read(order, path)
            try:
                stated = stated_version(path, content)
            except ValueError as error:
                wrong.append(f"{path} states no version: {str(error)[:120]}")
                continue
            said.append(f"{path}: {stated[:60]}")
            if stated not in {version, tag_of(version)}:
                wrong.append(f"{path} says {stated[:60]!r}")
        if wrong:
            raise Refused(
                f"{'; '.join(wrong)} at {order.commit[:12]}, not {version}: bump it, commit, and release that commit",
                evidence=[*wrong, *said],
            )
        return said

    async def _skips_ci(self, order: messages.CommitOrder) -> str:
        message = (await self._git.message(order.project, order.forge, order.commit)).lower()
        found = next((words for words in _SKIPS if words in message), None)
        return f"its message says {found}: the forge may start no pipeline for its tag" if found else ""


def _newest(runs: Iterable[Run]) -> list[Run]:
    """Of the runs of one workflow for one event and ref the newest: a later one answers for an earlier."""
    newest: dict[tuple[str, str, str], Run] = {}
    for run in runs:
        newest.setdefault((run.workflow, run.event, run.ref), run)
    return list(newest.values())


def _name(run: Run) -> str:
    return f"{run.workflow} for {run.event} of {run.ref}"


def _demand_green(checks: Sequence[Context], commit: str, branch: str) -> None:
    broken = [check for check in checks if check.state.broken]
    if broken:
        raise Refused(
            f"{len(broken)} of {len(checks)} checks of {commit} did not succeed: {_names(broken)}; "
            "mend or re-run them, then retry",
            evidence=[f"{check.state}: {check.name} {check.url}"[:300] for check in broken][:_SHOWN],
        )
    pending = [check for check in checks if not check.state.done]
    if pending:
        raise NotYet(
            f"{len(pending)} of {len(checks)} checks of {commit} are under way: {_names(pending)}", again=_PENDING_AGAIN
        )
    if not any(check.state is State.SUCCESS for check in checks):
        # The forge makes the runs of a push a moment later; one that has made none by now will make none.
        late = activity.in_activity() and activity.info().attempt > _LOOKS_FOR_ANY
        raise (Refused if late else Unreachable)(
            f"{commit} has no successful check at all, which is not green: does a push to {branch} start its CI?"
        )


def _names(checks: Sequence[Context]) -> str:
    return ", ".join(check.name for check in checks)[:200]
