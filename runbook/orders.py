"""Each step's order, cut from the plan."""

from dataclasses import dataclass

from runbook import artifact, command, commit, pipeline, record, service
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.plan import Plan
from runbook.project import EnvironmentTable
from runbook.status import Status


@dataclass(frozen=True)
class Orders:
    """The orders of one release, each made from its plan and from what the steps before it found."""

    ref: ReleaseRef
    plan: Plan

    def commit_to_check(self) -> commit.CommitToCheck:
        return commit.CommitToCheck(**self._of_commit())

    def changelog_to_read(self) -> commit.ChangelogToRead:
        return commit.ChangelogToRead(
            **self._of_commit(), path=self.plan.project.project.changelog, version=self.plan.version
        )

    def version_files_to_read(self) -> commit.VersionFilesToRead:
        return commit.VersionFilesToRead(
            **self._of_commit(), paths=self.plan.project.project.version_files, version=self.plan.version
        )

    def uat(self) -> command.CommandToRun:
        table = self.plan.project.uat
        return command.CommandToRun(
            **self._of_commit(), words=table.command, within=table.within, environment=table.environment
        )

    def credentials_to_prove(self) -> artifact.CredentialsToProve:
        return artifact.CredentialsToProve(ref=self.ref, artifact=self.plan.project.artifact)

    def host_to_probe(self, host: str) -> service.HostToProbe:
        return service.HostToProbe(ref=self.ref, environment=self.plan.project.staging, host=host)

    def commit_to_verify(self) -> commit.CommitToVerify:
        return commit.CommitToVerify(**self._of_commit(), branch=self.plan.project.project.branch)

    def tag_to_push(self) -> commit.TagToPush:
        return commit.TagToPush(**self._of_commit(), tag=self.plan.tag, message=self.plan.tag)

    def run_to_find(self) -> pipeline.RunToFind:
        return pipeline.RunToFind(**self._of_run())

    def run_to_await(self, run: int, after: str) -> pipeline.RunToAwait:
        return pipeline.RunToAwait(**self._of_run(), run=run, after=after)

    def run_to_repeat(self, run: int) -> pipeline.RunToRepeat:
        return pipeline.RunToRepeat(**self._of_run(), run=run)

    def artifact_to_verify(self) -> artifact.ArtifactToVerify:
        return artifact.ArtifactToVerify(
            **self._of_commit(),
            artifact=self.plan.project.artifact,
            environment=self.plan.project.staging,
            host=self.plan.project.staging.hosts[0],
            version=self.plan.version,
        )

    def image_to_scan(self, image: Image) -> artifact.ImageToScan:
        return artifact.ImageToScan(**self._of_commit(), artifact=self.plan.project.artifact, image=image)

    def image_to_stage(self, host: str, image: Image) -> service.SwapToMake:
        return self._swap(self.plan.project.staging, host, image, None)

    def smoke_test(self, host: str) -> command.SmokeTest:
        table, staging = self.plan.project.smoke_test, self.plan.project.staging
        return command.SmokeTest(
            **self._of_commit(),
            words=table.command,
            within=table.within,
            environment=table.environment,
            host=host,
            target=staging.base_url(host),
            health_url=staging.health_url(host),
            version_url=staging.version_url(host),
            version=self.plan.version,
        )

    def image_to_pull(self, host: str, image: Image) -> service.ImageToPull:
        return service.ImageToPull(
            ref=self.ref,
            environment=self.plan.project.production,
            host=host,
            image=image,
            credentials=self.plan.project.artifact.credentials,
        )

    def way_back_to_record(self, host: str) -> service.WayBackToRecord:
        return service.WayBackToRecord(
            ref=self.ref,
            environment=self.plan.project.production,
            host=host,
            artifact=self.plan.project.artifact,
        )

    def swap_to_make(self, host: str, image: Image, way_back: service.WayBack | None) -> service.SwapToMake:
        return self._swap(self.plan.project.production, host, image, way_back)

    def health_to_verify(self, host: str, image: Image, container_id: str | None) -> service.HealthToVerify:
        return service.HealthToVerify(
            ref=self.ref,
            environment=self.plan.project.production,
            host=host,
            image=image,
            container_id=container_id,
        )

    def release_to_record(self, image: Image, approvers: list[str], changelog: str) -> record.ReleaseToRecord:
        return record.ReleaseToRecord(
            **self._of_commit(), tag=self.plan.tag, image=image, approvers=approvers, changelog=changelog
        )

    def soak_to_watch(self, image: Image) -> service.SoakToWatch:
        production = self.plan.project.production
        return service.SoakToWatch(
            ref=self.ref, environment=production, soak=production.soak, image=image, hosts=production.hosts
        )

    def logs_to_fetch(self, host: str, container_id: str | None) -> service.LogsToFetch:
        return service.LogsToFetch(
            ref=self.ref, environment=self.plan.project.production, host=host, container_id=container_id
        )

    def host_to_put_back(self, way_back: service.WayBack, failed_release: str) -> service.HostToPutBack:
        return service.HostToPutBack(
            ref=self.ref,
            environment=self.plan.project.production,
            host=way_back.host,
            way_back=way_back,
            artifact=self.plan.project.artifact,
            failed_release=failed_release,
        )

    def postmortem_to_open(self, reason: str, status: Status, evidence: list[str]) -> record.PostmortemToOpen:
        project = self.plan.project
        timeline = [
            f"{row.finished:%Y-%m-%d %H:%M:%S} UTC {row.title}{' on ' + row.host if row.host else ''}: "
            f"{row.trouble or row.finding or row.state}"
            for row in status.rows
            if row.finished
        ]
        return record.PostmortemToOpen(
            ref=self.ref,
            project=project.project,
            forge=project.forge,
            reason=reason,
            timeline=timeline,
            evidence=evidence,
        )

    def notice(self, to: str, key: str, title: str, body: str) -> record.NoticeToSend:
        return record.NoticeToSend.model_validate(
            {"ref": self.ref, "notify": self.plan.project.notify, "to": to, "key": key, "title": title, "body": body}
        )

    def on_call_notice(self) -> record.NoticeToSend:
        project, window = self.ref.project, self.plan.project.notify.window
        return self.notice(
            "on_call",
            "window",
            f"{project} {self.plan.version}: deployment window",
            f"{self.ref.requested_by} releases {project} {self.plan.version}"
            f" to {', '.join(self.plan.project.production.hosts)}. {window}".strip(),
        )

    def _swap(
        self, environment: EnvironmentTable, host: str, image: Image, way_back: service.WayBack | None
    ) -> service.SwapToMake:
        return service.SwapToMake(
            ref=self.ref,
            environment=environment,
            host=host,
            image=image,
            way_back=way_back,
            credentials=self.plan.project.artifact.credentials,
        )

    def _of_commit(self) -> commit.CommonOfCommit:
        project = self.plan.project
        return {"ref": self.ref, "project": project.project, "forge": project.forge, "commit": self.plan.commit}

    def _of_run(self) -> pipeline.CommonOfRun:
        return {**self._of_commit(), "pipeline": self.plan.project.pipeline, "tag": self.plan.tag}
