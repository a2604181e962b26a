"""A crew that performs every declared step in memory, and does what a test tells it to at any of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from runbook import drift_check, plan, record, service, steps
from runbook.message import Finding, Order
from runbook.project import Project
from runbook.record import Entry, NoticeToSend
from runbook.step import Step
from runbook.trouble import Cause
from tests.projects import OLD_DIGEST, project
from tests.workflows.findings import found

Behaviour = Callable[[Any], Awaitable[Any]]


class Performed(NamedTuple):
    """One attempt of a step: when it was begun by the server's clock, and how it ended (empty while it goes on)."""

    step: str
    host: str
    at: datetime
    order: Any


def failing(
    cause: Cause,
    message: str = "it failed",
    *,
    times: int | None = None,
    final: bool = True,
    evidence: tuple[str, ...] = ("seen",),
) -> Behaviour:
    """Fail with this cause, the first `times` times or always; `final`: as Refused does, without being tried again."""
    left = [times]

    async def fail(_order: Order) -> None:
        if left[0] is not None:
            if left[0] == 0:
                return
            left[0] -= 1
        raise ApplicationError(message, {"evidence": list(evidence)}, type=cause, non_retryable=final)

    return fail


def answering(*findings: Finding) -> Behaviour:
    """Find this instead, one after the other; the last for good."""
    left = list(findings)

    async def answer(_order: Order) -> Finding:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def away_for(span: timedelta) -> Behaviour:
    """Be unreachable for so long, by the server's clock, from the first attempt on."""
    first: list[datetime] = []

    async def fail(_order: Order) -> None:
        now = activity.info().started_time
        first.append(now)
        if now < first[0] + span:
            raise ApplicationError("no route to host", type=Cause.UNREACHABLE)

    return fail


class Hold:
    """Stops a step in its middle until `let_go` is set. `stubborn`: a cancellation is heard, but the step ends well."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        self.cancelled = False
        self._stubborn = stubborn

    async def __call__(self, _order: Order) -> None:
        self.reached.set()
        while not self.let_go.is_set():
            # Cancelled before, it is not cancelled again for the worker's end: a test that failed would wait for it for good.
            if self.cancelled and activity.is_worker_shutdown():
                raise asyncio.CancelledError
            activity.heartbeat()
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                self.cancelled = True
                if not self._stubborn:
                    raise


class Crew:
    """`fleet` is what each production host runs; `log` every attempt; `effects` what was done to the world, counted."""

    def __init__(self, of: Project | None = None) -> None:
        self.project = of or project()
        self.log: list[Performed] = []
        self.happened: list[str] = []
        self.fleet: dict[str, str | None] = dict.fromkeys(self.project.production.hosts, OLD_DIGEST)
        self.effects: Counter[str] = Counter()
        self.entries: dict[str, Entry] = {}
        self.notices: list[NoticeToSend] = []
        self.searchable = False
        self.last_good: plan.GoodVersion | None = None
        self._behaviours: dict[tuple[str, str, bool], list[Behaviour]] = {}
        self._done: set[str] = set()

    def at(self, step: Step[Any, Any], behaviour: Behaviour, host: str = "", *, after: bool = False) -> None:
        """Do this before the step's own work is done, or after it."""
        self._behaviours.setdefault((step.name, host, after), []).append(behaviour)

    def hold(self, step: Step[Any, Any], host: str = "", *, stubborn: bool = False) -> Hold:
        hold = Hold(stubborn=stubborn)
        self.at(step, hold, host)
        return hold

    def forget(self, step: Step[Any, Any], host: str = "") -> None:
        """Let the step go well from now on."""
        for after in (False, True):
            self._behaviours.pop((step.name, host, after), None)

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(performed.step, performed.host) for performed in self.log]

    def of(self, step: Step[Any, Any], host: str | None = None) -> list[Performed]:
        return [done for done in self.log if done.step == step.name and host in {None, done.host}]

    def count(self, step: Step[Any, Any], host: str | None = None) -> int:
        return len(self.of(step, host))

    def performed(self) -> Counter[str]:
        return Counter(performed.step for performed in self.log)

    def told(self, *words: str) -> list[NoticeToSend]:
        """The notices in which all these words are."""
        return [notice for notice in self.notices if all(w in f"{notice.title}\n{notice.body}" for w in words)]

    def kept(self, action: str) -> list[Entry]:
        """The ledger's rows of this action, in their order."""
        return [entry for entry in self.entries.values() if entry.action == action]

    def activities(self) -> list[Callable[..., Any]]:
        return [self._activity(step) for step in steps.ALL]

    def _activity(self, step: Step[Any, Any]) -> Callable[..., Any]:
        async def perform(order: Any) -> Any:
            self.log.append(Performed(step.name, order.place, activity.info().started_time, order))
            name = f"{step.name}/{order.place}" if order.place else step.name
            self.happened.append(f"began {name}")
            end = "failed"
            try:
                finding = await self._perform(step, order)
                end = "ended"
            except asyncio.CancelledError:
                end = "cancelled"
                raise
            finally:
                self.happened.append(f"{end} {name}")
            return finding.model_copy(update={"attempt": activity.info().attempt})

        perform.__annotations__ = {"order": step.order, "return": step.finding}
        return activity.defn(name=step.name)(perform)

    async def _perform(self, step: Step[Any, Any], order: Any) -> Finding:
        told = await self._told(step, order, after=False)
        finding = told or self._planned(found(step.name, order))
        self._affect(step, order)
        return await self._told(step, order, after=True) or finding

    async def _told(self, step: Step[Any, Any], order: Any, *, after: bool) -> Finding | None:
        for host in ("", order.place) if order.place else ("",):
            for behaviour in self._behaviours.get((step.name, host, after), []):
                result = await behaviour(order)
                if isinstance(result, Finding):
                    return result
        return None

    def _planned(self, finding: Finding) -> Finding:
        if isinstance(finding, plan.Plan):
            finding = finding.model_copy(update={"last_good": self.last_good})
        if isinstance(finding, (plan.Plan, plan.RollbackPlan)):
            return finding.model_copy(update={"project": self.project, "search_attributes": self.searchable})
        if isinstance(finding, drift_check.DriftCheckPlan):
            return finding.model_copy(update={"search_attributes": self.searchable})
        return finding

    def _affect(self, step: Step[Any, Any], order: Any) -> None:
        """Do to the world what the step does: looking first, so that a second attempt changes nothing."""
        match order:
            case service.SwapToMake() if step is not steps.STAGE:
                self.fleet[order.host] = order.image.digest
            case service.HostToPutBack():
                self.fleet[order.host] = order.way_back.digest
            case record.EntriesToKeep():
                for entry in order.entries:
                    self.entries.setdefault(entry.event, entry)
            case record.ReminderToSend():
                self._remind(order)
            case record.NoticeToSend():
                self._once(f"{order.ref.release}/{order.key}", lambda: self.notices.append(order))
            case _ if step in (steps.TAG, steps.RECORD, steps.POSTMORTEM):
                self._once(f"{order.ref.release}/{step.name}", lambda: self.effects.update([step.name]))
            case _:
                pass

    def _remind(self, order: record.ReminderToSend) -> None:
        """What is due is a notice like any other; then the next is waited for."""
        now = activity.info().started_time
        due = order.due(now)
        if due is not None and f"{due.ref.release}/{due.key}" not in self._done:
            self.log.append(Performed(steps.NOTIFY.name, "", now, due))
            self._affect(steps.NOTIFY, due)
        raise ApplicationError(
            "the next one",
            type=Cause.NOT_YET,
            next_retry_delay=order.until_next(now),
            category=ApplicationErrorCategory.BENIGN,
        )

    def _once(self, identity: str, act: Callable[[], None]) -> None:
        if identity not in self._done:
            self._done.add(identity)
            act()


async def never(_order: Order) -> None:
    """Hang until cancelled, heartbeating."""
    await Hold()(_order)
