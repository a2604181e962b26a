"""A step that needs a person: on-call is told, reminded, and the step waits for what that person sends."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

from runbook import names, steps
from runbook.decision import Instruction, Verdict
from runbook.host_orders import HostOrders
from runbook.message import Finding, Order
from runbook.record import NoticeToSend
from runbook.span import spoken
from runbook.status import Need, Outcome, State
from runbook.step import Step
from workflows.concurrency import Afterwards
from workflows.failure import StepFailed, Stop
from workflows.journal import Journal, time_left
from workflows.reminders import Reminders

OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)


class Escalation:
    """Performs steps for which people can be asked. `way_out` is what one sends instead of `retry` now."""

    def __init__(
        self, journal: Journal, orders: HostOrders, *, way_out: Callable[[], str], patient: bool = False
    ) -> None:
        self._journal = journal
        self._orders = orders
        self._way_out = way_out
        self._patient = patient
        self._waiting: set[int] = set()

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
        until = None if self._patient else workflow.now() + self._orders.project.wait.person
        need = self._need(failure, [names.RETRY, self._way_out()])
        need.until = until
        self._journal.expect(failure.step, failure.host).state = State.NEEDS_PERSON
        self._waiting.add(need.number)
        with self._shown(need):
            await self._until_answered(need)

    def asking(self, failure: StepFailed) -> AbstractContextManager[None]:
        """Ask a person for something that the release will see by itself; `retry` has nothing to do with it."""
        need = self._need(failure, [self._way_out()])
        self._tell(need, 0)
        return self._shown(need)

    def answer(self, instruction: Instruction) -> Verdict:
        """`retry`: which waiting steps go on."""
        waiting = [need for need in self._journal.status.needs if need.number in self._waiting]
        meant = [need for need in waiting if instruction.step in {None, need.step, _place(need)}]
        if not meant:
            what = f"{instruction.step} does not wait" if instruction.step and waiting else "no step waits for a person"
            return Verdict(accepted=False, why=f"{what}, so there is nothing to retry")
        self._waiting.difference_update(need.number for need in meant)
        return Verdict(accepted=True, why=f"{', '.join(_place(need) for need in meant)}: tried again")

    def _need(self, failure: StepFailed, answers: list[str]) -> Need:
        self._journal.status.calls += 1
        return Need(
            number=self._journal.status.calls,
            step=failure.step.name,
            host=failure.host,
            cause=failure.cause,
            what=failure.what,
            hint=failure.hint,
            evidence=failure.evidence,
            send=[how_to_send(self._journal.status.workflow_id, name) for name in answers],
            since=workflow.now(),
        )

    def _shown(self, need: Need) -> Afterwards:
        self._journal.status.needs.append(need)
        self._journal.changed()
        return Afterwards(lambda: self._hide(need))

    def _hide(self, need: Need) -> None:
        needs = self._journal.status.needs
        needs[:] = [other for other in needs if other.number != need.number]
        self._waiting.discard(need.number)
        for row in self._journal.status.rows:
            if (row.name, row.host, row.state) == (need.step, need.host, State.NEEDS_PERSON):
                row.state = State.FAILED  # until it is tried again
        self._journal.changed()

    async def _until_answered(self, need: Need) -> None:
        if not workflow.patched("the-server-asks-for-the-reminders-of-a-need"):
            await self._reminded_from_here(need)
            return
        self._tell(need, 0)
        reminders, notice = Reminders(), self._notice(need, f"need/{need.number}")
        every = self._orders.project.wait.remind_every
        reminders.start(self._orders.reminder(notice, every, since=need.since, until=need.until))
        with Afterwards(reminders.stop):
            left = None if need.until is None else time_left(need.until)
            await self._answered_within(need, left)

    async def _reminded_from_here(self, need: Need) -> None:
        """The way of an earlier version, which adds to the history with every reminder."""
        every, told = self._orders.project.wait.remind_every, 0
        while need.number in self._waiting:
            self._tell(need, told)
            told += 1
            await self._answered_within(need, every if need.until is None else min(every, time_left(need.until)))

    async def _answered_within(self, need: Need, patience: timedelta | None) -> None:
        """Return when it is answered, or the patience is spent. Raises Stop when nobody decided in time."""
        try:
            await workflow.wait_condition(
                lambda: need.number not in self._waiting,
                timeout=patience,
                timeout_summary=f"{_place(need)} needs a person",
            )
        except TimeoutError:
            if need.until is not None and time_left(need.until) <= timedelta(0):
                waited = spoken(self._orders.project.wait.person)
                why = f"{_place(need)} needed a person and nobody decided in {waited}"
                raise Stop(Outcome.ABORTED, why) from None

    def _tell(self, need: Need, told: int) -> None:
        notice = self._notice(need, f"need/{need.number}/{told}", reminder=told > 0)
        self._journal.soon(self._journal.try_to(steps.NOTIFY, notice))

    def _notice(self, need: Need, key: str, *, reminder: bool = False) -> NoticeToSend:
        where = f" on {need.host}" if need.host else ""
        prefix = "Reminder: " if reminder else ""
        title = f"{prefix}{self._journal.status.workflow_id} needs a person: {need.step}{where}"
        body = "\n".join(filter(None, [need.what, need.hint, *need.evidence[-10:], "Send one of:", *need.send]))
        return self._orders.notice("on_call", key, title, body)


def how_to_send(workflow_id: str, name: str, payload: str | None = None) -> str:
    """The exact `temporal` command for a signal of this name."""
    given = payload or '{"by":"YOU","reason":"WHY"}'
    return f"temporal workflow signal --workflow-id {workflow_id} --name {name} --input '{given}'"


def _place(need: Need) -> str:
    return f"{need.step}/{need.host}" if need.host else need.step
