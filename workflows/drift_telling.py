"""Tells drift once: on-call, the related issue and the ledger hear of what is new and of what is gone, and of nothing else."""

from temporalio import workflow

from runbook import steps
from runbook.drift_check import ACTION, FOUND, GONE, UNTOLD, DriftCheckPlan, DriftVerdict, StandingDrift
from runbook.host_drift import Drift
from runbook.host_orders import HostOrders
from runbook.identifier import tag_of
from workflows.drift_display import DriftDisplay
from workflows.failure import StepFailed
from workflows.ledger import Ledger
from workflows.performing import attempt


class DriftTelling:
    """What was told before is the plan's: it is read from the ledger, so that it is known to every later check."""

    def __init__(self, display: DriftDisplay, orders: HostOrders, plan: DriftCheckPlan) -> None:
        self._display = display
        self._orders = orders
        self._plan = plan
        self._ledger = Ledger(orders.ref, display.note)
        told = {standing.key for standing in plan.standing}
        drifts = display.report.drifts
        self._new = [drift for drift in drifts if drift.key not in told]
        self._gone = [standing for standing in plan.standing if self._is_gone(standing)]

    async def tell(self) -> None:
        """The ledger last: a check that ends before tells once more, and no later one keeps silent for it."""
        if not self._new and not self._gone:
            return
        is_told = not self._new or await self._notified()
        await self._comment()
        for drift in self._new:
            self._say(FOUND if is_told else UNTOLD, drift.key, drift.host, drift.what)
        for standing in self._gone:
            self._say(GONE, standing.key, standing.host, standing.what)
        self._display.show(new=[drift.key for drift in self._new], gone=[gone.key for gone in self._gone])
        await workflow.wait_condition(lambda: self._ledger.is_written)

    def _is_gone(self, standing: StandingDrift) -> bool:
        """Nobody knows it of a host that could not be looked at."""
        report = self._display.report
        unknown = {host.host for host in report.hosts if host.verdict is DriftVerdict.UNKNOWN}
        return standing.host not in unknown and standing.key not in {drift.key for drift in report.drifts}

    async def _notified(self) -> bool:
        """Two checks at a time that find the same send the same notice, which goes out once."""
        ref = self._orders.ref
        title = f"{ref.project}: production is no longer what {tag_of(ref.version)} left"
        body = "\n".join(f"{drift.host}: {drift.what}" for drift in self._new)
        told = "+".join(sorted(drift.key for drift in self._new))
        notice = self._orders.notice("on_call", "host-drift", title, body)
        notice = notice.model_copy(update={"once": f"host-drift/{self._plan.told}/{told}"})
        try:
            self._display.show(notice=(await attempt(steps.NOTIFY, notice)).notice)
        except StepFailed as failure:
            self._display.note(f"{failure}; the next check tells it again")
            return False
        return True

    async def _comment(self) -> None:
        now = f"{workflow.now():%Y-%m-%d %H:%M} UTC"
        since = {standing.key: standing.since for standing in self._plan.standing}
        standing = [_standing(drift, since.get(drift.key, now)) for drift in self._display.report.drifts]
        order = self._orders.drift_to_comment(self._plan.recorded, standing)
        try:
            found = await attempt(steps.COMMENT_DRIFT, order)
        except StepFailed as failure:
            self._display.note(f"{failure}")
        else:
            self._display.show(comment=found.url)

    def _say(self, outcome: str, key: str, host: str, what: str) -> None:
        """The same event in every check that says it at this point of the project's drift: one row."""
        event = f"{self._orders.ref.project}/{ACTION}/{self._plan.told}/{outcome}/{key}"
        self._ledger.say("worker", ACTION, outcome, what, event=event, evidence=[key], place=host)


def _standing(drift: Drift, since: str) -> StandingDrift:
    return StandingDrift(key=drift.key, host=drift.host, what=drift.what, since=since)
