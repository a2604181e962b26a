"""The runbook's troubleshooting table: what was seen, what it likely is, what to do."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Cause(StrEnum):
    """Why a step failed, as the activities tell it apart. These are the failure types in Temporal's history."""

    REFUSED = "Refused"
    UNREACHABLE = "Unreachable"
    NOT_YET = "NotYet"
    PUSH_REJECTED = "PushRejected"
    TAG_MOVED = "TagOnAnotherCommit"
    NO_RUN = "NoRunForTag"
    PIPELINE_FAILED = "PipelineFailed"
    PIPELINE_SLOW = "PipelineNotFinished"
    DIGEST_MISMATCH = "DigestMismatch"
    DIGEST_UNKNOWN = "DigestUnknown"
    COMMAND_FAILED = "CommandFailed"
    SMOKE_FAILED = "SmokeTestFailed"
    CONTAINER_EXITED = "ContainerExited"
    UNHEALTHY = "Unhealthy"
    WRONG_VERSION = "WrongVersion"
    FENCED = "Fenced"
    CREDENTIALS = "CredentialsRefused"
    TIMED_OUT = "TimedOut"
    BROKEN = "Broken"


class Trouble(BaseModel):
    """A line of the troubleshooting table."""

    model_config = ConfigDict(frozen=True)

    symptom: str
    likely: str
    resolution: str

    def __str__(self) -> str:
        return f"{self.symptom}: likely {self.likely}. {self.resolution}."


PUSH_REJECTED = Trouble(
    symptom="Tag push rejected",
    likely="branch protection or the wrong branch",
    resolution="Confirm the commit is on the release branch, check the protection rules of branch and tag",
)
NO_RUN = Trouble(
    symptom="Pipeline not triggered on tag push",
    likely="on.push.tags of the workflow is misconfigured",
    resolution="Check the tag filter pattern in .gitea/workflows/, and that the commit message skips no CI",
)
DIGEST_MISMATCH = Trouble(
    symptom="Image digest mismatch",
    likely="an image re-built from the same tag",
    resolution="Re-pull and recheck; do not promote if the digest is unknown",
)
SMOKE_FAILED = Trouble(
    symptom="Staging smoke test fails",
    likely="configuration drift or a dependency",
    resolution="Check the staging environment variables, roll staging back to its previous image",
)
CONTAINER_EXITED = Trouble(
    symptom="Production container exits immediately",
    likely="missing environment variables or a missing mount",
    resolution="Check the container's logs on the production host",
)
UNHEALTHY = Trouble(
    symptom="Health endpoint returns non-200",
    likely="the application failed to start",
    resolution="Check the logs; roll back if it does not recover within the health deadline",
)
STAGING_EXITED = Trouble(
    symptom="Staging container exits immediately",
    likely="missing environment variables or a missing mount",
    resolution="Check the container's logs and the env file on the staging host; production is untouched",
)
STAGING_UNHEALTHY = Trouble(
    symptom="Staging is not healthy",
    likely="the version that runs there, its configuration or a dependency",
    resolution="Check the logs on the staging host, repair it there or run an image there that is well; production is untouched",
)

_BY_CAUSE = {
    Cause.PUSH_REJECTED: PUSH_REJECTED,
    Cause.NO_RUN: NO_RUN,
    Cause.DIGEST_MISMATCH: DIGEST_MISMATCH,
    Cause.DIGEST_UNKNOWN: DIGEST_MISMATCH,
    Cause.SMOKE_FAILED: SMOKE_FAILED,
    Cause.CONTAINER_EXITED: CONTAINER_EXITED,
    Cause.UNHEALTHY: UNHEALTHY,
    Cause.WRONG_VERSION: UNHEALTHY,
}
_OF_STAGING = (STAGING_EXITED, STAGING_UNHEALTHY, SMOKE_FAILED)
_ON_STAGING = {
    Cause.CONTAINER_EXITED: STAGING_EXITED,
    Cause.UNHEALTHY: STAGING_UNHEALTHY,
    Cause.WRONG_VERSION: STAGING_UNHEALTHY,
}


def line_for(cause: str, own: Trouble | None = None) -> Trouble | None:
    """The table's line for a failure type; the step's own line where the cause has none.

    The page's lines about a service speak of production: said of staging they would call people to the wrong hosts.
    """
    known = Cause(cause) if cause in Cause.__members__.values() else None
    table = {**_BY_CAUSE, **_ON_STAGING} if own in _OF_STAGING else _BY_CAUSE
    return table.get(known, own) if known else own
