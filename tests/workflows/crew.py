"""A crew that performs every declared step in memory, and does what a test tells it to at any of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from runbook import artifact, command, commit, pipeline, plan, record, service, steps
from runbook.message import Finding, Order
from runbook.project import Project
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import COMMIT, DIGEST, OLD_DIGEST, image, project

Behaviour = Callable[[Any], Awaitable[Any]]


def failing(cause: Cause, message: str = "it failed", *, times: int | None = None, final: bool = True) -> Behaviour:
    """Fail with this cause, the first `times` times or always."""
    left = [times]

    async def fail(_order: Order) -> None:
        if left[0] is not None:
            if left[0] == 0:
                return
            left[0] -= 1
        raise ApplicationError(message, {"evidence": ["seen"]}, type=cause, non_retryable=final)

    return fail


class Crew:
    """`calls` lists what was performed, as step name and host; `fleet` is what each production host runs."""

    def __init__(self, of: Project | None = None) -> None:
        self.project = of or project()
        self.calls: list[tuple[str, str]] = []
        self.orders: list[tuple[str, Any]] = []
        self.fleet = dict.fromkeys(self.project.production.hosts, OLD_DIGEST)
        self.searchable = False
        self._behaviours: dict[tuple[str, str], list[Behaviour]] = {}

    def at(self, step: Step[Any, Any], behaviour: Behaviour, host: str = "") -> None:
        """Before the step's own work is done, do this."""
        self._behaviours.setdefault((step.name, host), []).append(behaviour)

    def count(self, step: Step[Any, Any], host: str | None = None) -> int:
        return sum(name == step.name and host in {None, place} for name, place in self.calls)

    def performed(self) -> Counter[str]:
        return Counter(name for name, _ in self.calls)

    def activities(self) -> list[Callable[..., Any]]:
        return [self._activity(step) for step in steps.ALL]

    def _activity(self, step: Step[Any, Any]) -> Callable[..., Any]:
        async def perform(order: Any) -> Any:
            self.calls.append((step.name, order.place))
            self.orders.append((step.name, order))
            for host in ("", order.place) if order.place else ("",):
                for behaviour in self._behaviours.get((step.name, host), []):
                    result = await behaviour(order)
                    if isinstance(result, Finding):
                        return result
            return self._finding(step, order)

        perform.__annotations__ = {"order": step.order, "return": step.finding}
        return activity.defn(name=step.name)(perform)

    def _finding(self, step: Step[Any, Any], order: Any) -> Finding:  # noqa: PLR0911, C901 - a table of all findings
        made = f"{step.name} done"
        match order:
            case plan.ReleaseToPlan():
                return plan.Plan(
                    summary=made,
                    version=order.order.version,
                    commit=order.order.commit or COMMIT,
                    project=self.project,
                    file_fingerprint="sha256:0",
                    search_attributes=self.searchable,
                )
            case plan.RollbackToPlan():
                good = image(order.order.to_version or "1.3.0", OLD_DIGEST)
                return plan.RollbackPlan(project=self.project, image=good, file_fingerprint="sha256:0")
            case commit.CommitToCheck():
                return commit.GreenCommit(summary=made, contexts=2, runs=1)
            case commit.ChangelogToRead():
                return commit.ChangelogSection(summary=made, text="- Faster checkout")
            case commit.VersionFilesToRead():
                return commit.BumpedVersion(summary=made, files=order.paths)
            case commit.CommitToVerify():
                return commit.VerifiedCommit(summary=made, commit=order.commit, evidence=["c0ffee Release"])
            case commit.TagToPush():
                return commit.PushedTag(summary=made, tag=order.tag, commit=order.commit, existed=False)
            case pipeline.RunToRepeat():
                return pipeline.RepeatedRun(summary=made, asked=True, url="https://git.example.net/run/1")
            case pipeline.RunToAwait():
                return pipeline.FinishedRun(summary=made, run=order.run, url="", succeeded=True)
            case pipeline.RunToFind():
                return pipeline.PipelineRun(summary=made, run=1, number=1, url="", state="running")
            case artifact.ArtifactToVerify():
                return artifact.VerifiedArtifact(summary=made, image=image(order.version, DIGEST))
            case artifact.CredentialsToProve():
                return artifact.ProvenCredentials(summary=made, repository="acme/shop")
            case command.CommandToRun() | artifact.ImageToScan():
                return command.FinishedCommand(summary=made, seconds=0.1)
            case record.NoticeToSend():
                return record.SentNotice(summary=made, notice=order.key)
            case record.EntriesToKeep():
                return record.KeptEntries(summary=made, head="sha256:1")
            case record.ReleaseToRecord():
                return record.RecordedRelease(summary=made, release=1, url="https://git.example.net/releases/1")
            case record.PostmortemToOpen():
                return record.OpenedPostmortem(summary=made, issue=9, url="https://git.example.net/issues/9")
            case _:
                return self._host_finding(step, order, made)

    def _host_finding(self, step: Step[Any, Any], order: Any, made: str) -> Finding:  # noqa: PLR0911 - a table
        match order:
            case service.HostToProbe():
                return service.ProbedHost(summary=made, version="1.3.0")
            case service.ImageToPull():
                return service.PulledImage(summary=made, image_id="sha256:id")
            case service.WayBackToRecord():
                return service.WayBack(
                    summary=made,
                    host=order.host,
                    container_id="old",
                    container_name="shop",
                    image_id="i",
                    digest=OLD_DIGEST,
                    version="1.3.0",
                )
            case service.SwapToMake():
                if step is not steps.STAGE:
                    self.fleet[order.host] = order.image.digest
                return service.SwappedContainer(summary=made, host=order.host, container_id="new", previous_id="old")
            case service.HostToPutBack():
                self.fleet[order.host] = order.way_back.digest
                return service.RestoredHost(
                    summary=made,
                    host=order.host,
                    container_id="old",
                    digest=order.way_back.digest,
                    version=order.way_back.version,
                    kept=True,
                )
            case service.HealthToVerify() if step is steps.VERIFY:
                return service.RunningHost(summary=made, host=order.host, container_id="new")
            case service.HealthToVerify():
                return service.HealthyHost(summary=made, host=order.host, answers=3, seconds=0.3)
            case service.SoakToWatch():
                return service.WatchedSoak(summary=made, looks=120, failures=0)
            case service.LogsToFetch():
                return service.FetchedLogs(summary=made, evidence=["log line"])
            case _:
                raise AssertionError(f"no finding for {type(order).__name__}")


async def never(_order: Order) -> None:
    """Hang until cancelled, heartbeating."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.1)
