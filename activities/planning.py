"""Plans a release or a rollback by hand: reads the project's file and names everything that speaks against starting."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from activities.binding import performs
from activities.doubts import Doubts
from activities.errors import Refused
from activities.heartbeat import in_thread
from activities.history import History
from activities.projects import ReadProject
from activities.readiness import KnownHosts, Readiness
from runbook import names, steps
from runbook.identifier import tag_of
from runbook.image import Image
from runbook.message import ReleaseOrder, RollbackOrder
from runbook.plan import GoodVersion, Plan, ReleaseToPlan, RollbackPlan, RollbackToPlan
from runbook.project import ForgeTable, Project, ProjectTable
from runbook.trouble import Cause


class Files(Protocol):
    def load(self, name: str, *, for_release: bool = ...) -> ReadProject: ...


class Refs(Protocol):
    async def branch_head(self, project: ProjectTable, forge: ForgeTable) -> str: ...

    async def tag_commit(self, project: ProjectTable, forge: ForgeTable, tag: str) -> str | None: ...


class Past(Protocol):
    async def history(self, project: str) -> History: ...

    async def head(self) -> str: ...


class Lane(Protocol):
    """What Temporal knows of a project. Raises Unreachable when it does not tell."""

    async def rollback_running(self, project: str) -> bool: ...


class PlanningActivities:
    """`search_attributes` tells whether Temporal knows ours; a workflow that sets unknown ones is stuck."""

    def __init__(
        self, files: Files, refs: Refs, hosts: KnownHosts, past: Past, lane: Lane, search_attributes: Callable[[], bool]
    ) -> None:
        self._files = files
        self._refs = refs
        self._readiness = Readiness(hosts)
        self._past = past
        self._lane = lane
        self._search_attributes = search_attributes

    @performs(steps.PLAN)
    async def plan(self, order: ReleaseToPlan) -> Plan:
        wanted, doubts = order.order, Doubts()
        read, past, _ = await asyncio.gather(
            doubts.of(in_thread(self._files.load, wanted.project)),
            doubts.of(self._unreleased(wanted)),
            doubts.of(self._no_rollback(wanted.project)),
        )
        commit = None
        if read:
            table = read.project
            commit, *_ = await asyncio.gather(
                doubts.of(self._commit(table, wanted)),
                self._readiness.secrets(doubts, table.secrets()),
                self._readiness.known(doubts, table, "staging", "production"),
                self._readiness.hopeful(doubts, table, wanted.requested_by),
            )
        doubts.raise_any(f"{wanted.project} {wanted.version} can't be released")
        if read is None or past is None or commit is None:
            raise AssertionError("a look without a result and without a doubt")
        return await self._planned(wanted, read, past.last_good, commit)

    @performs(steps.PLAN_ROLLBACK)
    async def plan_rollback(self, order: RollbackToPlan) -> RollbackPlan:
        """Asks for no more than a rollback needs: neither the forge nor what only a release uses."""
        wanted, doubts = order.order, Doubts()
        read, good, _ = await asyncio.gather(
            doubts.of(in_thread(self._files.load, wanted.project, for_release=False)),
            doubts.of(self._good(wanted)),
            doubts.of(self._no_rollback(wanted.project)),
        )
        if read:
            key = read.project.production.ssh.key
            await self._readiness.secrets(doubts, [key] if key else [])
            await self._readiness.known(doubts, read.project, "production")
        doubts.raise_any(f"{wanted.project} can't be rolled back")
        if read is None or good is None:
            raise AssertionError("a look without a result and without a doubt")
        artifact = read.project.artifact
        image = Image(registry=artifact.registry, name=artifact.image, version=good.version, digest=good.digest)
        return RollbackPlan(
            summary=f"back to {image.tag}, {good.past}",
            evidence=[image.reference, f"project's file {read.fingerprint}"],
            project=read.project,
            image=image,
            file_fingerprint=read.fingerprint,
            search_attributes=self._search_attributes(),
        )

    async def _planned(self, wanted: ReleaseOrder, read: ReadProject, last: GoodVersion | None, commit: str) -> Plan:
        plan = Plan(
            version=wanted.version,
            commit=commit,
            project=read.project,
            file_fingerprint=read.fingerprint,
            last_good=last,
            search_attributes=self._search_attributes(),
            ledger=await self._past.head(),
            commit_tag=read.project.artifact.tag_of_commit(commit),
        )
        before = f"{tag_of(last.version)} {last.digest}, released {last.released_at}" if last else "none in the ledger"
        evidence = [
            f"commit {commit}",
            f"plan {plan.fingerprint}",
            f"project's file {read.fingerprint}",
            f"last good version: {before}",
        ]
        return plan.model_copy(update={"summary": f"{plan.tag} from {commit[:12]}", "evidence": evidence})

    async def _unreleased(self, wanted: ReleaseOrder) -> History:
        past = await self._past.history(wanted.project)
        if done := past.released(wanted.version):
            raise Refused(f"{wanted.version} was released on {done.released_at}: bump the version")
        return past

    async def _good(self, wanted: RollbackOrder) -> GoodVersion:
        past = await self._past.history(wanted.project)
        good = past.known(wanted.to_version) if wanted.to_version else past.before
        if good is None:
            what = (
                f"{wanted.to_version} was never released" if wanted.to_version else "no good version is before this one"
            )
            raise Refused(f"{what}: name one that the ledger knows {_known(past)}")
        return good

    async def _no_rollback(self, project: str) -> None:
        if await self._lane.rollback_running(project):
            raise Refused(
                f"a rollback of {project} is still running as {names.rollback_lane(project)}: "
                "wait until it has put every host back"
            )

    async def _commit(self, table: Project, wanted: ReleaseOrder) -> str:
        """The ordered commit or the branch's head; Refused where the version's tag stands on another one."""
        tag = tag_of(wanted.version)
        commit = wanted.commit or await self._refs.branch_head(table.project, table.forge)
        tagged = await self._refs.tag_commit(table.project, table.forge, tag)
        if tagged not in {None, commit}:
            what = "" if wanted.commit else f", the head of {table.project.branch}"
            raise Refused(
                f"tag {tag} stands on commit {tagged}, not on {commit}{what}: "
                "order that commit, or release another version; a published tag is never moved",
                cause=Cause.TAG_MOVED,
            )
        return commit


def _known(past: History) -> str:
    """Where one can go, and what to do where that is not enough."""
    released = ", ".join(good.version for good in past.good_versions[:10]) or "none"
    ran = past.ran_before
    if ran:
        return f"as released (it knows {released}), or {ran.version}, {ran.past}"
    return (
        f"as released (it knows {released}). What ran before the first release is not on record as the same version and "
        "digest on every host: release a version that is good, or start each host's kept container by hand "
        "(docs/operations.md, Where a rollback by hand goes)"
    )
