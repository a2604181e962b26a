"""The steps of the runbook, each declared once, in the order of the page."""

from datetime import timedelta
from typing import Any, TypeGuard

from temporalio.common import RetryPolicy

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
    trouble,
    window,
)
from runbook.step import FETCH_WITHIN, Effect, Step

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
# For what asks the worker's own mirror of the repository, which the first to ask has to make.
MIRRORED = FETCH_WITHIN + 10 * MINUTE


def _tries(attempts: int, first: timedelta = SECOND, longest: timedelta = 30 * SECOND) -> RetryPolicy:
    """So many attempts, the pause doubling from `first` to `longest`; 0 is without end."""
    return RetryPolicy(
        initial_interval=first, backoff_coefficient=2.0, maximum_interval=longest, maximum_attempts=attempts
    )


def _looks_every(pause: timedelta) -> RetryPolicy:
    """A look that the server repeats until the step's budget is spent."""
    return RetryPolicy(initial_interval=pause, backoff_coefficient=1.0, maximum_interval=pause, maximum_attempts=0)


NETWORK = _tries(6)
PEOPLE = _tries(8, longest=MINUTE)

# A table: what it is; what goes in and comes out; how long and how often.
# fmt: off
PLAN = Step(
    name="plan", title="Plan the release", number="P", stage="planning",
    order=plan.ReleaseToPlan, finding=plan.Plan, effect=Effect.LOOKS,
    retry=NETWORK,
)
PLAN_ROLLBACK = Step(
    name="plan-rollback", title="Plan the rollback", number="P", stage="planning",
    order=plan.RollbackToPlan, finding=plan.RollbackPlan, effect=Effect.LOOKS,
    retry=NETWORK,
)
CI_GREEN = Step(
    name="ci-green", title="All checks of the commit succeeded", number="P", stage="prerequisites",
    order=commit.CommitToCheck, finding=commit.GreenCommit, effect=Effect.LOOKS,
    budget=30 * MINUTE, retry=_tries(0, longest=20 * SECOND),
)
CHANGELOG = Step(
    name="changelog", title="The changelog has a section for the version", number="P", stage="prerequisites",
    order=commit.ChangelogToRead, finding=commit.ChangelogSection, effect=Effect.LOOKS,
    limit=MIRRORED, retry=NETWORK,
)
VERSION_BUMP = Step(
    name="version-bump", title="Every version file says the version", number="P", stage="prerequisites",
    order=commit.VersionFilesToRead, finding=commit.BumpedVersion, effect=Effect.LOOKS,
    limit=MIRRORED, retry=NETWORK,
)
UAT = Step(
    name="uat", title="User acceptance tests", number="P", stage="prerequisites",
    order=command.CommandToRun, finding=command.FinishedCommand, effect=Effect.LOOKS,
    limit=timedelta(hours=2), retry=_tries(4),
)
STAGING_HEALTHY = Step(
    name="staging-healthy", title="Staging is healthy", number="P", stage="prerequisites",
    order=service.HostToProbe, finding=service.ProbedHost, effect=Effect.LOOKS,
    retry=NETWORK, trouble=trouble.STAGING_UNHEALTHY,
)
CREDENTIALS = Step(
    name="registry-credentials", title="Registry credentials are valid", number="P", stage="prerequisites",
    order=artifact.CredentialsToProve, finding=artifact.ProvenCredentials, effect=Effect.LOOKS,
    retry=NETWORK,
)
ON_CALL = Step(
    name="on-call-notified", title="On-call knows of the window", number="P", stage="prerequisites",
    order=record.NoticeToSend, finding=record.SentNotice, effect=Effect.ADDS,
    retry=PEOPLE,
)
VERIFY_COMMIT = Step(
    name="verify-commit", title="Verify the release commit", number="1", stage="commit",
    order=commit.CommitToVerify, finding=commit.VerifiedCommit, effect=Effect.LOOKS,
    limit=MIRRORED, retry=NETWORK,
)
TAG = Step(
    name="tag", title="Create and push the release tag", number="2", stage="tag",
    order=commit.TagToPush, finding=commit.PushedTag, effect=Effect.ADDS,
    limit=MIRRORED, retry=NETWORK, trouble=trouble.PUSH_REJECTED,
)
PIPELINE_RUN = Step(
    name="pipeline-run", title="The build pipeline was triggered", number="3", stage="pipeline",
    order=pipeline.RunToFind, finding=pipeline.PipelineRun, effect=Effect.LOOKS,
    limit=20 * SECOND, budget=MINUTE, retry=_looks_every(2 * SECOND), trouble=trouble.NO_RUN,
)
PIPELINE_END = Step(
    name="pipeline", title="The build pipeline finished", number="3", stage="pipeline",
    order=pipeline.RunToAwait, finding=pipeline.FinishedRun, effect=Effect.LOOKS,
    limit=20 * SECOND, budget=timedelta(hours=1), retry=_looks_every(2 * SECOND),
)
PIPELINE_RERUN = Step(
    name="pipeline-rerun", title="Run the pipeline again", number="3", on_board=False,
    order=pipeline.RunToRepeat, finding=pipeline.RepeatedRun, effect=Effect.ADDS,
    retry=NETWORK,
)
VERIFY_ARTIFACT = Step(
    name="verify-artifact", title="Verify the staged artifact by digest", number="4", stage="artifact",
    order=artifact.ArtifactToVerify, finding=artifact.VerifiedArtifact, effect=Effect.LOOKS,
    limit=MIRRORED, retry=NETWORK, trouble=trouble.DIGEST_MISMATCH,
)
SCAN = Step(
    name="scan", title="Scan the image", number="4b", stage="scan",
    order=artifact.ImageToScan, finding=command.FinishedCommand, effect=Effect.LOOKS,
    limit=timedelta(hours=1), retry=_tries(4),
)
STAGE = Step(
    name="stage", title="Staging runs the candidate", number="5", stage="staging",
    order=service.SwapToMake, finding=service.SwappedContainer, effect=Effect.REPLACES,
    limit=10 * MINUTE, retry=NETWORK, trouble=trouble.STAGING_EXITED,
)
REHEARSE = Step(
    name="rehearse-rollback", title="Rehearse the rollback on staging", number="5", stage="staging",
    order=service.RollbackToRehearse, finding=service.RehearsedRollback, effect=Effect.REPLACES,
    limit=20 * MINUTE, retry=NETWORK, trouble=trouble.STAGING_EXITED,
)
SMOKE_TEST = Step(
    name="smoke-test", title="Staging smoke test", number="5", stage="staging",
    order=command.SmokeTest, finding=command.FinishedCommand, effect=Effect.LOOKS,
    limit=timedelta(hours=2), retry=_tries(4), trouble=trouble.SMOKE_FAILED,
)
PUT_STAGING_BACK = Step(
    name="put-staging-back", title="Staging returns to what it ran before", number="5", stage="staging",
    order=service.StagingToPutBack, finding=service.RestoredHost, effect=Effect.REPLACES,
    limit=10 * MINUTE, retry=NETWORK, trouble=trouble.STAGING_EXITED,
)
VERIFY_SIGNATURE = Step(
    name="verify-signature", title="Verify an approval's signature", number="6", on_board=False,
    order=approval.SignatureToVerify, finding=approval.VerifiedSignature, effect=Effect.LOOKS,
    limit=20 * SECOND, retry=_tries(4),
)
IDENTIFY_SENDER = Step(
    name="identify-sender", title="Ask Temporal who sent a decision", number="6", on_board=False,
    order=sender.SenderToIdentify, finding=sender.IdentifiedSender, effect=Effect.LOOKS,
    limit=MINUTE, retry=NETWORK,
)
PULL = Step(
    name="pull", title="Production has the image", number="6", stage="promotion",
    order=service.ImageToPull, finding=service.PulledImage, effect=Effect.ADDS,
    limit=10 * MINUTE, retry=NETWORK,
)
WINDOW = Step(
    name="window", title="The release window is open", number="6", stage="window",
    order=window.WindowToCheck, finding=window.ReleaseWindow, effect=Effect.LOOKS,
    limit=20 * SECOND, retry=_tries(4),
)
DRIFT = Step(
    name="drift", title="Compare the world with what was approved", number="6", stage="promotion",
    order=drift.DriftToFind, finding=drift.FoundDrift, effect=Effect.LOOKS,
    limit=30 * SECOND, retry=_tries(3),
)
WAY_BACK = Step(
    name="way-back", title="Record the way back", number="7", stage="promotion",
    order=service.WayBackToRecord, finding=service.WayBack, effect=Effect.LOOKS,
    retry=NETWORK,
)
SWAP = Step(
    name="swap", title="Stop the old and start the new", number="7", stage="promotion",
    order=service.SwapToMake, finding=service.SwappedContainer, effect=Effect.REPLACES,
    limit=10 * MINUTE, retry=NETWORK, trouble=trouble.CONTAINER_EXITED,
)
HEALTH = Step(
    name="health", title="Production is healthy", number="8", stage="promotion",
    order=service.HealthToVerify, finding=service.HealthyHost, effect=Effect.LOOKS,
    limit=timedelta(hours=1), retry=NETWORK, trouble=trouble.UNHEALTHY,
)
RECORD = Step(
    name="record", title="Record the release", number="9", stage="record",
    order=record.ReleaseToRecord, finding=record.RecordedRelease, effect=Effect.ADDS,
    retry=NETWORK,
)
VERIFY = Step(
    name="verification", title="Full verification", number="V", stage="verification",
    order=service.HealthToVerify, finding=service.RunningHost, effect=Effect.LOOKS,
    limit=5 * MINUTE, retry=NETWORK, trouble=trouble.UNHEALTHY,
)
SOAK = Step(
    name="soak", title="Soak", number="S", stage="soak",
    order=service.SoakToWatch, finding=service.WatchedSoak, effect=Effect.LOOKS,
    limit=timedelta(days=15), retry=_tries(0), trouble=trouble.UNHEALTHY,
)
LOGS = Step(
    name="container-logs", title="Fetch the container's logs", on_board=False,
    order=service.LogsToFetch, finding=service.FetchedLogs, effect=Effect.LOOKS,
    retry=_tries(2),
)
PUT_BACK = Step(
    name="put-back", title="Put back what ran before", number="R", stage="rollback",
    order=service.HostToPutBack, finding=service.RestoredHost, effect=Effect.REPLACES,
    limit=10 * MINUTE, retry=_tries(0, longest=MINUTE),
)
RETURN = Step(
    name="return", title="Return to a good version", number="R", stage="rollback",
    order=service.SwapToMake, finding=service.SwappedContainer, effect=Effect.REPLACES,
    limit=10 * MINUTE, retry=_tries(0, longest=MINUTE), trouble=trouble.CONTAINER_EXITED,
)
PUT_BACK_HEALTH = Step(
    name="put-back-health", title="What ran before is healthy again", number="R", stage="rollback",
    order=service.HealthToVerify, finding=service.HealthyHost, effect=Effect.LOOKS,
    limit=timedelta(hours=1), retry=_tries(0, longest=MINUTE), trouble=trouble.UNHEALTHY,
)
POSTMORTEM = Step(
    name="postmortem", title="Open the postmortem issue", number="R", stage="postmortem",
    order=record.PostmortemToOpen, finding=record.OpenedPostmortem, effect=Effect.ADDS,
    retry=_tries(0, longest=5 * MINUTE),
)
PLAN_DRIFT_CHECK = Step(
    name="plan-drift-check", title="Plan the drift check", number="D", on_board=False, kept=False,
    order=drift_check.DriftCheckToPlan, finding=drift_check.DriftCheckPlan, effect=Effect.LOOKS,
    retry=NETWORK,
)
INSPECT_HOST = Step(
    name="inspect-host", title="Look at what a host runs", number="D", on_board=False, kept=False,
    order=host_state.HostToInspect, finding=host_state.HostState, effect=Effect.LOOKS,
    limit=30 * SECOND, retry=_tries(3),
)
COMMENT_DRIFT = Step(
    name="comment-drift", title="Comment on the drift", number="D", on_board=False,
    order=drift_check.DriftToComment, finding=drift_check.CommentedDrift, effect=Effect.ADDS,
    retry=NETWORK,
)
RECORD_HOST = Step(
    name="record-host", title="Record what a host is left with", on_board=False,
    order=host_state.HostToRecord, finding=host_state.HostState, effect=Effect.LOOKS,
    limit=30 * SECOND, retry=_tries(4),
)
NOTIFY = Step(
    name="notify", title="Tell people", on_board=False,
    order=record.NoticeToSend, finding=record.SentNotice, effect=Effect.ADDS,
    retry=PEOPLE,
)
REMIND = Step(
    name="remind", title="Remind people for as long as they are waited for", on_board=False,
    order=record.ReminderToSend, finding=record.SentNotice, effect=Effect.ADDS,
    retry=_looks_every(MINUTE),
)
LEDGER = Step(
    name="ledger", title="Keep the ledger", on_board=False, kept=False,
    order=record.EntriesToKeep, finding=record.KeptEntries, effect=Effect.ADDS,
    limit=30 * SECOND, retry=_tries(0),
)
# fmt: on


def _is_step(value: object) -> TypeGuard[Step[Any, Any]]:
    return isinstance(value, Step)


ALL: tuple[Step[Any, Any], ...] = tuple(filter(_is_step, list(globals().values())))
BY_NAME = {step.name: step for step in ALL}
PREREQUISITES = (CI_GREEN, CHANGELOG, VERSION_BUMP, UAT, STAGING_HEALTHY, CREDENTIALS, ON_CALL)
