"""A step that needs a person: on-call is told, reminded, and the step waits for what that person sends."""

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook import names, steps
    from runbook.decision import Instruction, Verdict
    from runbook.host_orders import HostOrders
    from runbook.message import Finding, Order
    from runbook.span import spoken
    from runbook.status import Need, Outcome, State
    from runbook.step import Step
    from workflows.failure import StepFailed, Stop
    from workflows.journal import Journal, time_left

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)


class Escalation:
    """Performs steps for which people can be asked."""

    def __init__(self, journal: Journal, orders: HostOrders, *, patient: bool = False) -> None:
        self._journal = journal
        self._orders = orders
        self._patient = patient
        self._answered: list[Need] = []
        self._calls = 0

    async def perform(
        self,
        step: Step[OrderT, FindingT],
        order: OrderT,
        *,
        budget: timedelta | None = None,
        every: timedelta | None = None,
    ) -> FindingT:
        """Perform the step, and again each time somebody sends `retry`; Stop when nobody did in time."""
        while True:
            try:
                return await self._journal.attempt(step, order, budget=budget, every=every)
            except StepFailed as failure:
                await self.wait(failure)

    async def wait(self, failure: StepFailed) -> None:
        """Return when somebody sent `retry`."""
        need = self._call(failure)
        row = self._journal.expect(failure.step, failure.host)
        row.state = State.NEEDS_PERSON
        self._journal.status.needs.append(need)
        self._journal.changed()
        try:
            await self._until_answered(need)
        finally:
            self._journal.status.needs.remove(need)
            self._journal.changed()

    def answer(self, instruction: Instruction) -> Verdict:
        """`retry`: which waiting steps go on."""
        waiting = [need for need in self._journal.status.needs if need not in self._answered]
        meant = [need for need in waiting if instruction.step in {None, need.step}]
        if not meant:
            what = f"{instruction.step} does not wait" if instruction.step and waiting else "no step waits for a person"
            return Verdict(accepted=False, why=f"{what}, so there is nothing to retry")
        self._answered += meant
        return Verdict(accepted=True, why=f"{', '.join(need.step for need in meant)}: tried again")

    def _call(self, failure: StepFailed) -> Need:
        self._calls += 1
        wait = self._orders.project.wait
        later = (
            names.ROLL_BACK
            if self._journal.status.stage in {"promotion", "record", "verification", "soak"}
            else names.ABORT
        )
        return Need(
            step=failure.step.name,
            host=failure.host,
            cause=failure.cause,
            what=failure.what,
            hint=failure.hint,
            evidence=failure.evidence,
            send=[how_to_send(self._journal.status.workflow_id, name) for name in (names.RETRY, later)],
            since=workflow.now(),
            until=None if self._patient else workflow.now() + wait.person,
        )

    async def _until_answered(self, need: Need) -> None:
        every = self._orders.project.wait.remind_every
        number = self._calls
        told = 0
        while need not in self._answered:
            self._tell(need, f"need/{number}/{told}", reminder=told > 0)
            told += 1
            patience = every if need.until is None else min(every, time_left(need.until))
            try:
                await workflow.wait_condition(
                    lambda: need in self._answered, timeout=patience, timeout_summary=f"{need.step} needs a person"
                )
            except TimeoutError:
                if need.until is not None and time_left(need.until).total_seconds() <= 0:
                    waited = spoken(self._orders.project.wait.person)
                    raise Stop(Outcome.ABORTED, f"{need.step} needed a person and nobody decided in {waited}") from None

    def _tell(self, need: Need, key: str, *, reminder: bool) -> None:
        where = f" on {need.host}" if need.host else ""
        title = (
            f"{'Reminder: ' if reminder else ''}{self._journal.status.workflow_id} needs a person: {need.step}{where}"
        )
        body = "\n".join([need.what, need.hint, *need.evidence[-10:], "Send one of:", *need.send])
        self._journal.soon(self._journal.try_to(steps.NOTIFY, self._orders.notice("on_call", key, title, body)))


def how_to_send(workflow_id: str, name: str, payload: str | None = None) -> str:
    """The exact `temporal` command for a signal of this name."""
    given = payload or '{"by":"YOU","reason":"WHY"}'
    return f"temporal workflow signal --workflow-id {workflow_id} --name {name} --input '{given}'"
