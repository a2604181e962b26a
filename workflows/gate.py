"""The gate: waits for people to authorize exactly one digest, until it expires."""

import contextlib
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError

from runbook import names, steps
from runbook.continuation import Candidate, Continuation, GateMemory
from runbook.decision import Instruction, Judgement, Verdict
from runbook.gate_rules import accepted, expired, refusal_of
from runbook.orders import Orders
from runbook.record import NoticeToSend
from runbook.span import spoken
from runbook.status import GateView, GivenDecision, Outcome, RefusedDecision
from workflows.alarm import Alarm
from workflows.concurrency import Afterwards
from workflows.continuation import is_long
from workflows.failure import Stop
from workflows.gate_view import gate_view
from workflows.journal import Journal, time_left
from workflows.performing import perform
from workflows.proof import Proof, Proofs
from workflows.reminders import Reminders
from workflows.sender import Received, sender_of

_REFUSALS_SHOWN = 20
_REMINDED_EVERY = timedelta(minutes=1)


class Gate:
    """One gate of one release. A decision counts only while it is open."""

    longest = 2_000
    """Events of history, with which it goes on in a new run: Temporal bears 50,000, and 10,000 signals, a fifth of them."""

    def __init__(self, journal: Journal, taken: Continuation | None = None) -> None:
        self._journal = journal
        self._memory = taken.memory if taken else GateMemory()
        self._orders = taken.orders if taken else None
        self._alarm = Alarm(journal, self._memory)
        self._proofs = Proofs(journal, self._memory)
        self._looking = 0
        self._over = False
        self._reminders = Reminders()
        self._spares = False

    async def authorize(self, orders: Orders, candidate: Candidate) -> list[str]:
        """Who approved, once enough people did. Raises Stop when it is rejected or expires."""
        image, view = candidate.image, self._journal.status.gate or self._open(orders, candidate)
        self._journal.stage(names.AT_GATE)
        if self._memory.reminded is None:
            self._announce(view)
        with Afterwards(lambda: self._close(view)):
            await self._decided(orders, view)
        if view.rejection is not None:
            who, why = view.rejection.by, view.rejection.comment or "without a comment"
            raise Stop(Outcome.REJECTED, f"rejected by {who}: {why}")
        approvers = [approval.by for approval in view.approvals]
        await self._journal.ledger.keep(
            ", ".join(approvers), "gate", "approved", image.reference, digest=image.digest, evidence=approvers
        )
        return approvers

    async def judge(self, judgement: Judgement, received: Received) -> Verdict:
        """What becomes of this decision: at once, unless its time or its signature must be looked into first."""
        refusal, key = refusal_of(self._journal.status, judgement), ""
        if refusal is None:
            self._looking += 1
            with Afterwards(self._looked):
                proof = await self._looked_into(judgement, received)
            # Meanwhile others may have decided.
            refusal, key = proof.refusal or refusal_of(self._journal.status, judgement), proof.key
        return self._refuse(judgement, received, refusal) if refusal else self._count(judgement, received, key)

    def remind(self, instruction: Instruction) -> Verdict:
        """Tell the approvers who have not decided, because somebody asks for it."""
        gate, now = self._journal.status.gate, workflow.now()
        if gate is None or not gate.open:
            return Verdict(accepted=False, why="the gate is not open: nobody is waited for")
        if self._memory.asked is not None and now - self._memory.asked < _REMINDED_EVERY:
            return Verdict(accepted=False, why="the approvers were reminded less than a minute ago")
        self._memory.asked = now
        why = f": {instruction.reason}" if instruction.reason else ""
        self._tell(f"asked/{now:%Y%m%dT%H%M%S}", f"{instruction.by} asks you to decide{why}")
        return Verdict(accepted=True, why=f"told: {', '.join(_undecided(gate))}")

    @property
    def _opened(self) -> tuple[Orders, GateView]:
        view = self._journal.status.gate
        assert view is not None, "asked for before the gate opened"  # noqa: S101 - a bug, not an input
        assert self._orders is not None, "asked for before the gate opened"  # noqa: S101 - a bug, not an input
        return self._orders, view

    def _open(self, orders: Orders, candidate: Candidate) -> GateView:
        status = self._journal.status
        self._orders = orders
        status.digest = candidate.image.digest
        status.gate = view = gate_view(orders, status.workflow_id, candidate)
        if orders.project.gate.has_hours:
            self._journal.soon(self._show_hours())
        return view

    def _announce(self, view: GateView) -> None:
        self._journal.ledger.say("worker", "gate", "opened", view.image, digest=view.digest, evidence=view.policy)
        self._memory.reminded = workflow.now()
        self._tell("0")

    def _close(self, view: GateView) -> None:
        view.open = False
        self._reminders.stop()
        self._journal.changed()

    async def _show_hours(self) -> None:
        """Only for people to see: it is asked again, with all insistence, before production changes."""
        orders, view = self._opened
        with contextlib.suppress(ActivityError):
            view.window = (await perform(steps.WINDOW, orders.window_to_check(workflow.now()))).why
            self._journal.changed()

    async def _decided(self, orders: Orders, view: GateView) -> None:
        self._spares = workflow.patched("the-gate-spares-its-history")
        self._remind_undecided()
        while not view.is_decided:
            try:
                await workflow.wait_condition(
                    lambda: view.is_decided or self._is_long(),
                    timeout=self._patience(orders, view),
                    timeout_summary="the gate waits for people",
                )
            except TimeoutError:
                if time_left(view.expires) <= timedelta(0):
                    await self._expire(orders, view)
                else:
                    self._remind()
            else:
                if not view.is_decided:
                    self._go_on_anew(orders)

    def _patience(self, orders: Orders, view: GateView) -> timedelta:
        """Until the end; of an earlier version, until the next reminder."""
        left, every, last = time_left(view.expires), orders.project.gate.reminds_every, self._memory.reminded
        return min(left, time_left(last + every)) if every and last and not self._spares else left

    def _remind(self) -> None:
        self._memory.reminded = workflow.now()
        self._memory.reminders += 1
        self._tell(f"{self._memory.reminders}", "Reminder")

    def _is_long(self) -> bool:
        """Time for a new history, and nothing is under way that the new run could not know of."""
        settled = self._journal.is_settled and workflow.all_handlers_finished()
        return self._spares and settled and is_long(self.longest)

    def _go_on_anew(self, orders: Orders) -> NoReturn:
        """Where Temporal has a message still to be heard, it has this run hear it first."""
        ledger = self._journal.ledger
        workflow.continue_as_new(
            Continuation(
                ref=orders.ref,
                plan=orders.plan,
                status=self._journal.status,
                memory=self._memory,
                entries=ledger.entries,
                refusals=ledger.refusals,
            )
        )

    async def _expire(self, orders: Orders, view: GateView) -> None:
        """The time of arrival decides: what came in time and is still looked into is waited for, nothing else."""
        self._over = True
        await workflow.wait_condition(lambda: view.is_decided or not self._looking)
        if not view.is_decided:
            waited = spoken(orders.project.gate.expires_after)
            raise Stop(Outcome.EXPIRED, f"the gate expired: not enough approvals in {waited}")

    async def _looked_into(self, judgement: Judgement, received: Received) -> Proof:
        orders, view = self._opened
        if self._over:
            return Proof(expired(view))
        if workflow.now() >= view.expires and not await self._came_in_time(view, received):
            return Proof(expired(view))
        if not view.signed or judgement.signature is None:
            return Proof(None)
        return await self._proofs.of(orders, view, judgement)

    async def _came_in_time(self, view: GateView, received: Received) -> bool:
        """No worker may have run when it came: Temporal knows when that was."""
        sent = await sender_of(self._journal, received)
        return sent is not None and sent.at < view.expires

    def _looked(self) -> None:
        self._looking -= 1

    def _count(self, judgement: Judgement, received: Received, key: str) -> Verdict:
        _, view = self._opened
        verdict = accepted(view, judgement)
        given = GivenDecision(
            by=judgement.by,
            at=workflow.now(),
            comment=judgement.comment,
            key=key,
            signature=judgement.signature or "",
        )
        if judgement.kind == names.REJECT:
            view.rejection = given
        else:
            view.approvals.append(given)
            self._remind_undecided()
        self._journal.soon(self._identify(judgement.kind, given, received))
        return verdict

    async def _identify(self, kind: str, given: GivenDecision, received: Received) -> None:
        found = await sender_of(self._journal, received)
        if found is not None:
            given.sender = found.told
            self._journal.ledger.say(given.by, kind, "sent", f"{found.told}, says Temporal's history")
            self._journal.changed()

    def _refuse(self, judgement: Judgement, received: Received, verdict: Verdict) -> Verdict:
        view = self._journal.status.gate
        if view is None:
            return verdict
        refused = RefusedDecision(
            kind=judgement.kind,
            by=judgement.by,
            at=workflow.now(),
            why=verdict.why,
            suspicious=verdict.suspicious,
        )
        view.refused += 1
        view.refusals.append(refused)
        if len(view.refusals) > _REFUSALS_SHOWN:
            view.refusals.remove(next((each for each in view.refusals if not each.suspicious), view.refusals[0]))
        if verdict.suspicious and self._orders is not None:
            self._alarm.ring(self._orders, refused, received)
        return verdict

    def _remind_undecided(self) -> None:
        """Whoever has decided is not reminded any more."""
        orders, view = self._opened
        every = orders.project.gate.reminds_every
        if every and self._spares and not view.is_decided:
            self._reminders.start(orders.reminder(self._notice("gate"), every, since=view.opened, until=view.expires))

    def _tell(self, key: str, why: str = "") -> None:
        notice = self._notice(f"gate/{key}", why)
        self._journal.soon(self._journal.try_to(steps.NOTIFY, notice))

    def _notice(self, key: str, why: str = "") -> NoticeToSend:
        orders, view = self._opened
        title = f"{orders.ref.project} {orders.ref.version} waits at the gate"
        lines = [
            *([why] if why else []),
            f"What will run: {view.image}",
            f"Still to decide: {', '.join(_undecided(view))}",
            *view.how_to,
        ]
        title = f"Reminder: {title}" if why else title
        return orders.notice("approvers", key, title, "\n".join(lines), _undecided(view))


def _undecided(view: GateView) -> list[str]:
    given = {approval.by for approval in view.approvals}
    return [name for name in view.approvers if name not in given]
