"""Compares the world outside with what people approved, right before production changes: reported, never followed."""

from typing import Protocol

from activities.binding import performs
from activities.errors import StepError
from activities.heartbeat import in_thread
from runbook import steps
from runbook.artifact_table import ArtifactTable
from runbook.drift import DriftToFind, FoundDrift


class Registry(Protocol):
    async def digest(self, artifact: ArtifactTable, tag: str) -> str: ...


class Read(Protocol):
    @property
    def fingerprint(self) -> str: ...


class ProjectFiles(Protocol):
    def load(self, name: str) -> Read: ...


class DriftActivities:
    def __init__(self, registry: Registry, projects: ProjectFiles) -> None:
        self._registry = registry
        self._projects = projects

    @performs(steps.DRIFT)
    async def compare(self, order: DriftToFind) -> FoundDrift:
        """What can't be read is a difference too: it holds nothing up, since none of it is what runs."""
        differences = [line for line in (await self._tag(order), await self._file(order)) if line]
        summary = "; ".join(differences) if differences else f"{order.image.tag} and the project's file are as approved"
        return FoundDrift(differences=differences, summary=summary[:149], evidence=differences)

    async def _tag(self, order: DriftToFind) -> str:
        tag = f"{order.image.repository}:{order.image.tag}"
        try:
            now = await self._registry.digest(order.artifact, order.image.tag)
        except StepError as error:
            return f"{tag} can't be compared: {error}"[:300]
        if now == order.image.digest:
            return ""
        return f"{tag} was moved to {now} after the approval; {order.image.digest} runs, as approved"

    async def _file(self, order: DriftToFind) -> str:
        try:
            read = await in_thread(self._projects.load, order.ref.project)
        except StepError as error:
            return f"the project's file was edited after the plan and is no longer valid: {error}; the plan stands"[
                :300
            ]
        if read.fingerprint == order.file_fingerprint:
            return ""
        return f"the project's file was edited after the plan ({read.fingerprint}); the plan that was approved stands"
