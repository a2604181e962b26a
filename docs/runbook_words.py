"""What counts as done at each step of the runbook, and what is refused: the one part of its page that no code can say."""

from collections.abc import Mapping

from runbook import steps

DONE: Mapping[str, str] = {
    steps.PLAN.name: "The project's file is valid, every secret it names is there, the version is a semantic version "
    "and it is known which commit is meant: the prerequisites look whether the repository has it. The file is kept with the release as it was read, so a later edit changes nothing under way.",
    steps.PLAN_ROLLBACK.name: "The version to return to is known to have been good, or to have run on every host before the "
    "first release, with its digest.",
    steps.CI_GREEN.name: "Every status and every Actions run of the commit succeeded. None at all is not green.",
    steps.CHANGELOG.name: "The changelog has a section for the version, and it isn't empty.",
    steps.VERSION_BUMP.name: "Every file listed in `version_files` says exactly the version.",
    steps.UAT.name: "The project's acceptance command exits 0 in a clean checkout of the commit; the end of its output is kept.",
    steps.STAGING_HEALTHY.name: "What runs on the staging host now answers that it is healthy. Nothing there yet is fine.",
    steps.CREDENTIALS.name: "The registry lets the worker read the image's own repository: its front door alone proves nothing.",
    steps.ON_CALL.name: "A notice of the window reached on-call; its id is kept.",
    steps.VERIFY_COMMIT.name: "The commit is on the release branch, and a checkout of it is clean. The last five commits are kept.",
    steps.TAG.name: "The annotated tag `v<version>` is on exactly this commit at the origin. There already: done. On another commit, or without a tagger and a date: refused.",
    steps.PIPELINE_RUN.name: "A run for the tag and the commit appeared in time.",
    steps.PIPELINE_END.name: "The run came to its end. A failed one is run again; after the last attempt people decide.",
    steps.PIPELINE_RERUN.name: "The forge was asked to run it again; where it can't be asked, the board says so.",
    steps.VERIFY_ARTIFACT.name: "Four digests are one: the manifest's for this version, the registry's, that of the pulled image, and the registry's for "
    "the tag of the release's commit (`artifact.commit_tag`; a project whose pipeline pushes none can say so). "
    "A difference is looked at once more, then refused. An unknown digest is never promoted.",
    steps.SCAN.name: "The project's scanner accepts the image, named by version and digest.",
    steps.REHEARSE.name: "Where the project wants it: on every staging host the version before served again, then the candidate.",
    steps.STAGE.name: "The staging host runs exactly that digest.",
    steps.SMOKE_TEST.name: "The smoke test exits 0 against the staging host, and the service itself says that it is healthy and which version it is.",
    steps.PUT_STAGING_BACK.name: "A candidate that staging did not pass, and whose release has ended, made room for what the host ran before. "
    "A host that can't be returned holds nothing up: on-call is told.",
    steps.PULL.name: "The production host's engine has the image by its digest.",
    steps.VERIFY_SIGNATURE.name: "The approver's key, listed in `allowed_signers` and valid now, signed exactly this text: project, version, digest, "
    "plan, run, decision, name and expiry. A signature that is wrong is a finding, and the approval is refused. "
    "Each is looked at again right before the first change of production.",
    steps.IDENTIFY_SENDER.name: "The identity that Temporal wrote beside the decision in history is kept beside the name that it claims.",
    steps.WINDOW.name: "The project's windows and freezes let production be changed now. If not, the release waits until they do, and looks again.",
    steps.DRIFT.name: "The registry's tag and the project's file were compared with what was approved. A difference is reported; "
    "what runs is what was approved all the same.",
    steps.WAY_BACK.name: "What runs on the host now is recorded, before anything there is changed.",
    steps.SWAP.name: "The new container runs. It was created before the old one was stopped, and the old one is kept, "
    "stopped and renamed. A new one that doesn't start gives the old one its place back at once.",
    steps.HEALTH.name: "Healthy and of the right version, several times in a row, from a container that does not restart, before the deadline.",
    steps.RECORD.name: "The forge has the release exactly once, with digest, approvers and the head of the ledger; the related issue has a comment.",
    steps.VERIFY.name: "Healthy, of the right version, and the engine's own list shows the pinned image up.",
    steps.SOAK.name: "Production stayed well for the project's soak time. A failure that lasts rolls back.",
    steps.LOGS.name: "The end of the container's log, for whoever is called.",
    steps.PUT_BACK.name: "The host runs what it ran before the release: the recorded image, by its digest where it has one. Where the stopped "
    "container is still there, it is started again: that needs neither forge nor registry. What serves already of that image is "
    "left as it is, whoever started it. Nothing is stopped before there is what to start instead.",
    steps.RETURN.name: "The host runs the good version that was asked for, by its recorded digest.",
    steps.PUT_BACK_HEALTH.name: "Healthy and of that version, before the deadline.",
    steps.POSTMORTEM.name: "One issue is open, with the timeline, the evidence, and links to the runbook and the incident template.",
    steps.PLAN_DRIFT_CHECK.name: "What each host was left with is known from the ledger, and whether a release or rollback is changing "
    "production now. Refused where no release ended well yet.",
    steps.INSPECT_HOST.name: "What the host runs is known: container, digest, restarts, and whether the env file still says what the "
    "container was made with. A host that can't be looked at is unknown, and hides no other one.",
    steps.COMMENT_DRIFT.name: "One comment on the project's related issue says how the drift is now. Asked for only when it changed.",
    steps.RECORD_HOST.name: "The ledger has what the host is left with at the end of a release or rollback. Another image than the host "
    "was given is refused; a host that can't be asked holds nothing up.",
    steps.NOTIFY.name: "People were told. Told once, however often it was tried.",
    steps.REMIND.name: "People were reminded at each interval. It ends when they have decided, or the release stops waiting.",
    steps.LEDGER.name: "The rows are in the ledger, each once, each with the hash of the row before it.",
}
