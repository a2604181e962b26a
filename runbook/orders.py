"""Each step's order, cut from the plan."""

from dataclasses import dataclass
from datetime import datetime

from runbook import approval, artifact, command, commit, drift, pipeline, record, window
from runbook.host_orders import HostOrders
from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.plan import Plan


@dataclass(frozen=True)
class Orders(HostOrders):
    """The orders of one release, each made from its plan and from what the steps before it found."""

    plan: Plan

    @classmethod
    def of(cls, ref: ReleaseRef, plan: Plan) -> "Orders":
        return cls(ref=ref, project=plan.project, plan=plan)

    def commit_to_check(self) -> commit.CommitToCheck:
        return commit.CommitToCheck(**self._of_commit())

    def changelog_to_read(self) -> commit.ChangelogToRead:
        return commit.ChangelogToRead(
            **self._of_commit(), path=self.project.project.changelog, version=self.plan.version
        )

    def version_files_to_read(self) -> commit.VersionFilesToRead:
        return commit.VersionFilesToRead(
            **self._of_commit(), paths=self.project.project.version_files, version=self.plan.version
        )

    def uat(self) -> command.CommandToRun:
        table = self.project.uat
        return command.CommandToRun(
            **self._of_commit(), words=table.command, within=table.within, environment=table.environment
        )

    def commit_to_verify(self) -> commit.CommitToVerify:
        return commit.CommitToVerify(**self._of_commit(), branch=self.project.project.branch)

    def tag_to_push(self) -> commit.TagToPush:
        return commit.TagToPush(**self._of_commit(), tag=self.plan.tag, message=self.plan.tag)

    def run_to_find(self) -> pipeline.RunToFind:
        return pipeline.RunToFind(**self._of_run())

    def run_to_await(self, run: int, after: str) -> pipeline.RunToAwait:
        return pipeline.RunToAwait(**self._of_run(), run=run, after=after)

    def run_to_repeat(self, run: int, after: str) -> pipeline.RunToRepeat:
        """Run `run` again, whose end that failed is the one marked `after`."""
        return pipeline.RunToRepeat(**self._of_run(), run=run, after=after)

    def artifact_to_verify(self) -> artifact.ArtifactToVerify:
        return artifact.ArtifactToVerify(
            **self._of_commit(),
            artifact=self.project.artifact,
            environment=self.project.staging,
            host=self.project.staging.hosts[0],
            version=self.plan.version,
            commit_tag=self.plan.commit_tag,
        )

    def image_to_scan(self, image: Image) -> artifact.ImageToScan:
        return artifact.ImageToScan(**self._of_commit(), artifact=self.project.artifact, image=image)

    def smoke_test(self, host: str) -> command.SmokeTest:
        table, staging = self.project.smoke_test, self.project.staging
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

    def signature_to_verify(self, approver: str, text: str, signature: str, at: datetime) -> approval.SignatureToVerify:
        """Only for a project with allowed_signers."""
        return approval.SignatureToVerify(
            ref=self.ref,
            allowed_signers=self.project.gate.allowed_signers or "",
            approver=approver,
            text=text,
            signature=signature,
            at=at,
        )

    def window_to_check(self, at: datetime) -> window.WindowToCheck:
        return window.WindowToCheck(ref=self.ref, policy=self.project.gate, at=at)

    def drift_to_find(self, image: Image) -> drift.DriftToFind:
        return drift.DriftToFind(
            ref=self.ref,
            artifact=self.project.artifact,
            image=image,
            file_fingerprint=self.plan.file_fingerprint,
        )

    def release_to_record(
        self, image: Image, approvers: list[str], changelog: str, downtime: list[str]
    ) -> record.ReleaseToRecord:
        return record.ReleaseToRecord(
            **self._of_commit(),
            tag=self.plan.tag,
            image=image,
            approvers=approvers,
            changelog=changelog,
            downtime=downtime,
        )

    def on_call_notice(self) -> record.NoticeToSend:
        """Of the window in which production may change: from the gate's first approval on, and by the policy's hours."""
        project, window = self.ref.project, self.project.notify.window
        lines = [
            f"{self.ref.requested_by} releases {project} {self.plan.version}"
            f" to {', '.join(self.project.production.hosts)}. {window}".strip(),
            "Production changes once people have approved at the gate; you are told again when it begins:",
            *(f"- {line}" for line in self.project.gate.policy()),
        ]
        return self.notice("on_call", "window", f"{project} {self.plan.version}: deployment window", "\n".join(lines))

    def promotion_notice(self, image: Image, approvers: list[str]) -> record.NoticeToSend:
        """The gate may have been open for days since on-call heard of the window."""
        hosts = ", ".join(self.project.production.hosts)
        body = f"{image.reference} replaces what runs on {hosts}, approved by {', '.join(approvers)}"
        title = f"{self.ref.project} {self.plan.version}: production begins to change"
        return self.notice("on_call", "promotion", title, body)

    def _of_commit(self) -> commit.CommonOfCommit:
        project = self.project
        return {"ref": self.ref, "project": project.project, "forge": project.forge, "commit": self.plan.commit}

    def _of_run(self) -> pipeline.CommonOfRun:
        return {**self._of_commit(), "pipeline": self.project.pipeline, "tag": self.plan.tag}
