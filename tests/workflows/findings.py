"""What a crew finds at each step when all is well."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from activities.window import release_window
from runbook import (
    approval,
    artifact,
    command,
    commit,
    drift,
    drift_check,
    host_state,
    pipeline,
    plan,
    record,
    sender,
    service,
    window,
)
from runbook.message import Finding, Order
from tests.projects import COMMIT, DIGEST, OLD_DIGEST, image, project

URL = "https://git.example.net"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RECORDED = "2026-11-22T10:00:00.000+00:00"


def host_record(host: str, **changes: Any) -> host_state.HostRecord:
    """What the release of 1.4.0 left on this host."""
    given = {"version": "1.4.0", "digest": DIGEST, "container_id": f"new-{host}", "started_at": RECORDED}
    return host_state.HostRecord.model_validate({"host": host, "at": RECORDED, **given, **changes})


def host_state_of(host: str, **changes: Any) -> host_state.HostState:
    """The host as that release left it."""
    given = {
        "container": "shop",
        "container_id": f"new-{host}",
        "state": "running",
        "version": "1.4.0",
        "digest": DIGEST,
        "digests": [DIGEST],
        "release": "run-1",
        "started_at": RECORDED,
        "env_file": host_state.EnvFile.SAME,
    }
    return host_state.HostState.model_validate({"host": host, **given, **changes})


def drift_plan(**changes: Any) -> drift_check.DriftCheckPlan:
    """All hosts as the release of 1.4.0 left them."""
    table = project()
    given = {
        "project": table,
        "version": "1.4.0",
        "digest": DIGEST,
        "recorded": RECORDED,
        "records": [host_record(host) for host in table.production.hosts],
    }
    return drift_check.DriftCheckPlan.model_validate({**given, **changes})


_FOUND: dict[type[Order], Callable[[Any], Finding]] = {
    plan.ReleaseToPlan: lambda order: plan.Plan(
        version=order.order.version,
        commit=order.order.commit or COMMIT,
        project=project(),
        file_fingerprint="sha256:0",
    ),
    plan.RollbackToPlan: lambda order: plan.RollbackPlan(
        project=project(), image=image(order.order.to_version or "1.3.0", OLD_DIGEST), file_fingerprint="sha256:0"
    ),
    commit.CommitToCheck: lambda _: commit.GreenCommit(contexts=2, runs=1),
    commit.ChangelogToRead: lambda _: commit.ChangelogSection(text="- Faster checkout"),
    commit.VersionFilesToRead: lambda order: commit.BumpedVersion(files=order.paths),
    commit.CommitToVerify: lambda order: commit.VerifiedCommit(commit=order.commit, evidence=["c0ffee Release"]),
    commit.TagToPush: lambda order: commit.PushedTag(tag=order.tag, commit=order.commit, existed=False),
    pipeline.RunToFind: lambda _: pipeline.PipelineRun(run=1, number=1, url=f"{URL}/runs/1", state="running"),
    pipeline.RunToAwait: lambda order: pipeline.FinishedRun(
        run=order.run, mark="1/1", url=f"{URL}/runs/1", succeeded=True
    ),
    pipeline.RunToRepeat: lambda _: pipeline.RepeatedRun(asked=True, url=f"{URL}/runs/1"),
    artifact.ArtifactToVerify: lambda order: artifact.VerifiedArtifact(image=image(order.version, DIGEST)),
    artifact.CredentialsToProve: lambda _: artifact.ProvenCredentials(repository="acme/shop"),
    artifact.ImageToScan: lambda _: command.FinishedCommand(seconds=0.1),
    command.CommandToRun: lambda _: command.FinishedCommand(seconds=0.1),
    command.SmokeTest: lambda _: command.FinishedCommand(seconds=0.1),
    approval.SignatureToVerify: lambda _: approval.VerifiedSignature(ok=True, why="signed", key="ssh-ed25519 SHA256:k"),
    sender.SenderToIdentify: lambda order: sender.IdentifiedSender(identity=f"{order.name}@desk", at=EPOCH),
    window.WindowToCheck: lambda order: release_window(order.policy, order.at),
    drift.DriftToFind: lambda _: drift.FoundDrift(),
    drift_check.DriftCheckToPlan: lambda _: drift_plan(),
    drift_check.DriftToComment: lambda _: drift_check.CommentedDrift(url=f"{URL}/issues/775#comment-1"),
    host_state.HostToInspect: lambda order: host_state_of(order.host),
    host_state.HostToRecord: lambda order: host_state_of(order.host),
    record.NoticeToSend: lambda order: record.SentNotice(notice=order.key),
    record.ReminderToSend: lambda order: record.SentNotice(notice=order.key),
    record.EntriesToKeep: lambda _: record.KeptEntries(head="sha256:1"),
    record.ReleaseToRecord: lambda _: record.RecordedRelease(release=1, url=f"{URL}/releases/1"),
    record.PostmortemToOpen: lambda _: record.OpenedPostmortem(issue=9, url=f"{URL}/issues/9"),
    service.HostToProbe: lambda _: service.ProbedHost(version="1.3.0"),
    service.ImageToPull: lambda _: service.PulledImage(image_id="sha256:id"),
    service.WayBackToRecord: lambda order: service.WayBack(
        host=order.host,
        container_id="old",
        container_name="shop",
        image_id="sha256:old",
        digest=OLD_DIGEST,
        version="1.3.0",
    ),
    service.SwapToMake: lambda order: service.SwappedContainer(
        host=order.host, container_id=f"new-{order.host}", previous_id="old"
    ),
    service.RollbackToRehearse: lambda order: service.RehearsedRollback(host=order.host, seconds=1.8),
    service.HostToPutBack: lambda order: service.RestoredHost(
        host=order.host,
        container_id=order.way_back.container_id,
        digest=order.way_back.digest,
        version=order.way_back.version,
        kept=True,
    ),
    service.StagingToPutBack: lambda order: service.RestoredHost(
        host=order.host, container_id="old", digest=OLD_DIGEST, version="1.3.0", kept=True
    ),
    service.HealthToVerify: lambda order: service.HealthyHost(host=order.host, answers=3, seconds=0.3),
    service.SoakToWatch: lambda _: service.WatchedSoak(looks=120, failures=0),
    service.LogsToFetch: lambda _: service.FetchedLogs(evidence=["log line"]),
}


def found(step: str, order: Order) -> Finding:
    """A finding of this step, as its type wants it."""
    if step == "verification" and isinstance(order, service.HealthToVerify):
        return service.RunningHost(summary=f"{step} done", host=order.host, container_id="new")
    return _FOUND[type(order)](order).model_copy(update={"summary": f"{step} done"})
