"""The orders about hosts and people, cut from the project's file: all that a rollback needs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from runbook import artifact, drift_check, host_state, record, service
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable, Project


@dataclass(frozen=True)
class HostOrders:
    """The orders of one run to the hosts of one project."""

    ref: ReleaseRef
    project: Project

    def image(self, version: str, digest: str) -> Image:
        """The project's image of this version and digest."""
        artifact = self.project.artifact
        return Image(registry=artifact.registry, name=artifact.image, version=version, digest=digest)

    def credentials_to_prove(self) -> artifact.CredentialsToProve:
        return artifact.CredentialsToProve(ref=self.ref, artifact=self.project.artifact)

    def host_to_probe(self, host: str) -> service.HostToProbe:
        return service.HostToProbe(ref=self.ref, environment=self.project.staging, host=host)

    def image_to_stage(self, host: str, image: Image) -> service.SwapToMake:
        return self._swap(self.project.staging, host, image, None)

    def rollback_to_rehearse(self, staged: service.SwappedContainer, image: Image) -> service.RollbackToRehearse:
        return service.RollbackToRehearse(
            ref=self.ref,
            environment=self.project.staging,
            host=staged.host,
            image=image,
            artifact=self.project.artifact,
            previous_id=staged.previous_id,
            credentials=self.project.artifact.credentials,
        )

    def staging_to_put_back(self, host: str) -> service.StagingToPutBack:
        return service.StagingToPutBack(
            ref=self.ref, environment=self.project.staging, host=host, artifact=self.project.artifact
        )

    def image_to_pull(self, host: str, image: Image) -> service.ImageToPull:
        return service.ImageToPull(
            ref=self.ref,
            environment=self.project.production,
            host=host,
            image=image,
            credentials=self.project.artifact.credentials,
        )

    def way_back_to_record(self, host: str) -> service.WayBackToRecord:
        return service.WayBackToRecord(
            ref=self.ref,
            environment=self.project.production,
            host=host,
            artifact=self.project.artifact,
        )

    def swap_to_make(self, host: str, image: Image, way_back: service.WayBack) -> service.SwapToMake:
        order = self._swap(self.project.production, host, image, way_back)
        return order.model_copy(update={"max_downtime": self.project.production.max_downtime})

    def image_to_return(self, host: str, image: Image) -> service.SwapToMake:
        """However long it takes: what is being left is worse."""
        return self._swap(self.project.production, host, image, None)

    def health_to_verify(self, host: str, image: Image | None, container_id: str | None) -> service.HealthToVerify:
        return service.HealthToVerify(
            ref=self.ref,
            environment=self.project.production,
            host=host,
            image=image,
            container_id=container_id,
        )

    def soak_to_watch(self, image: Image) -> service.SoakToWatch:
        production = self.project.production
        return service.SoakToWatch(
            ref=self.ref, environment=production, soak=production.soak, image=image, hosts=production.hosts
        )

    def logs_to_fetch(self, host: str, container_id: str | None) -> service.LogsToFetch:
        return service.LogsToFetch(
            ref=self.ref, environment=self.project.production, host=host, container_id=container_id
        )

    def staging_logs_to_fetch(self, staged: service.SwappedContainer) -> service.LogsToFetch:
        return service.LogsToFetch(
            ref=self.ref, environment=self.project.staging, host=staged.host, container_id=staged.container_id
        )

    def host_to_put_back(self, way_back: service.WayBack, failed_release: str) -> service.HostToPutBack:
        return service.HostToPutBack(
            ref=self.ref,
            environment=self.project.production,
            host=way_back.host,
            way_back=way_back,
            artifact=self.project.artifact,
            failed_release=failed_release,
        )

    def host_to_inspect(self, host: str) -> host_state.HostToInspect:
        production, artifact = self.project.production, self.project.artifact
        return host_state.HostToInspect(ref=self.ref, environment=production, host=host, artifact=artifact)

    def host_to_record(self, host: str, digest: str | None) -> host_state.HostToRecord:
        """`digest` is what the host was given."""
        inspected = self.host_to_inspect(host).model_dump()
        return host_state.HostToRecord.model_validate({**inspected, "digest": digest})

    def drift_to_comment(self, recorded: str, standing: list[drift_check.StandingDrift]) -> drift_check.DriftToComment:
        return drift_check.DriftToComment(
            ref=self.ref,
            project=self.project.project,
            forge=self.project.forge,
            recorded=recorded,
            standing=standing,
        )

    def postmortem_to_open(
        self, reason: str, timeline: list[str], evidence: list[str], failed: ReleaseRef | None = None
    ) -> record.PostmortemToOpen:
        return record.PostmortemToOpen(
            ref=self.ref,
            project=self.project.project,
            forge=self.project.forge,
            reason=reason,
            timeline=timeline,
            evidence=evidence,
            failed=failed,
        )

    def notice(self, to: str, key: str, title: str, body: str, people: list[str] | None = None) -> record.NoticeToSend:
        told = {"to": to, "key": key, "title": title, "body": body, "people": people or []}
        return record.NoticeToSend.model_validate({"ref": self.ref, "notify": self.project.notify, **told})

    def reminder(
        self, notice: record.NoticeToSend, every: timedelta, *, since: datetime, until: datetime | None
    ) -> record.ReminderToSend:
        """The same notice, again and again."""
        told = {**notice.model_dump(), "title": f"Reminder: {notice.title}"}
        return record.ReminderToSend.model_validate({**told, "every": every, "since": since, "until": until})

    def _swap(
        self, environment: EnvironmentTable, host: str, image: Image, way_back: service.WayBack | None
    ) -> service.SwapToMake:
        return service.SwapToMake(
            ref=self.ref,
            environment=environment,
            host=host,
            image=image,
            way_back=way_back,
            credentials=self.project.artifact.credentials,
        )
