"""The gate: waits for people to authorize exactly one digest, until it expires."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook import names, steps
    from runbook.decision import Judgement, Verdict
    from runbook.image import Image
    from runbook.orders import Orders
    from runbook.span import spoken
    from runbook.status import GateView, GivenApproval, Outcome
    from workflows.concurrency import Afterwards
    from workflows.escalation import how_to_send
    from workflows.failure import Stop
    from workflows.journal import Journal, time_left


class Gate:
    """One gate of one release. A decision counts only while it is open."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rejection: Judgement | None = None

    async def authorize(self, orders: Orders, image: Image, changelog: str) -> list[str]:
        """Who approved, once enough people did. Raises Stop when it is rejected or expires."""
        view = self._open(orders, image, changelog)
        self._journal.stage("gate")
        self._journal.ledger.say("worker", "gate", "opened", image.reference, digest=image.digest)
        with Afterwards(lambda: self._close(view)):
            await self._decided(orders, view)
        if self._rejection is not None:
            who, why = self._rejection.by, self._rejection.comment or "without a comment"
            raise Stop(Outcome.REJECTED, f"rejected by {who}: {why}")
        approvers = [approval.by for approval in view.approvals]
        await self._journal.ledger.keep(
            ", ".join(approvers), "gate", "approved", image.reference, digest=image.digest, evidence=approvers
        )
        return approvers

    def judge(self, judgement: Judgement) -> Verdict:
        """What becomes of this decision, at once."""
        verdict = self._verdict(judgement)
        if verdict.accepted and judgement.kind == names.REJECT:
            self._rejection = judgement
        elif verdict.accepted and self._journal.status.gate is not None:
            self._journal.status.gate.approvals.append(
                GivenApproval(by=judgement.by, at=workflow.now(), comment=judgement.comment)
            )
        return verdict

    def _verdict(self, judgement: Judgement) -> Verdict:
        view = self._journal.status.gate
        if view is None or not view.open:
            when = "is not open yet: wait for it" if view is None else "is closed"
            if self._journal.status.kind == "rollback":
                when = "of a rollback doesn't exist"
            return Verdict(accepted=False, why=f"the gate {when}; the decision does not count")
        if self._is_decided(view) or workflow.now() >= view.expires:
            return Verdict(accepted=False, why="the gate is decided already, or has expired")
        if judgement.by not in view.approvers:
            return Verdict(
                accepted=False, why=f"{judgement.by} may not decide here; these may: {', '.join(view.approvers)}"
            )
        if judgement.digest != view.digest:
            return Verdict(accepted=False, why=f"{judgement.digest} is not the digest on show, {view.digest}")
        if judgement.kind == names.APPROVE:
            return self._approval_verdict(judgement, view)
        return Verdict(accepted=True, why="rejected: the release ends here")

    def _approval_verdict(self, judgement: Judgement, view: GateView) -> Verdict:
        if judgement.by == self._journal.status.requested_by and not view.requester_may_approve:
            return Verdict(accepted=False, why=f"{judgement.by} asked for this release and may not approve it")
        if judgement.by in [approval.by for approval in view.approvals]:
            return Verdict(accepted=False, why=f"{judgement.by} approved already; another person is needed")
        missing = view.needed - len(view.approvals) - 1
        return Verdict(
            accepted=True, why=f"approved; {missing} more needed" if missing else "approved: promotion begins"
        )

    def _open(self, orders: Orders, image: Image, changelog: str) -> GateView:
        policy = orders.project.gate
        lane = self._journal.status.workflow_id
        payload = f'{{"by":"YOU","digest":"{image.digest}","comment":""}}'
        self._journal.status.digest = image.digest
        self._journal.status.gate = GateView(
            image=image.reference,
            digest=image.digest,
            commit=orders.plan.commit,
            plan=orders.plan.fingerprint,
            needed=policy.approvals,
            approvers=policy.approvers,
            requester_may_approve=policy.requester_may_approve,
            opened=workflow.now(),
            expires=workflow.now() + policy.expires_after,
            changelog=changelog,
            payload=payload,
            how_to=[how_to_send(lane, name, payload) for name in (names.APPROVE, names.REJECT)],
        )
        return self._journal.status.gate

    def _close(self, view: GateView) -> None:
        view.open = False
        self._journal.changed()

    def _is_decided(self, view: GateView) -> bool:
        return self._rejection is not None or len(view.approvals) >= view.needed

    async def _decided(self, orders: Orders, view: GateView) -> None:
        every = orders.project.gate.remind_every
        told = 0
        while not self._is_decided(view):
            if told == 0 or every is not None:
                self._tell(orders, view, told)
                told += 1
            left = time_left(view.expires)
            try:
                await workflow.wait_condition(
                    lambda: self._is_decided(view),
                    timeout=min(left, every or left),
                    timeout_summary="the gate waits for people",
                )
            except TimeoutError:
                if time_left(view.expires) <= timedelta(0):
                    waited = spoken(orders.project.gate.expires_after)
                    raise Stop(Outcome.EXPIRED, f"the gate expired: not enough approvals in {waited}") from None

    def _tell(self, orders: Orders, view: GateView, told: int) -> None:
        given = {approval.by for approval in view.approvals}
        missing = [name for name in view.approvers if name not in given]
        title = f"{'Reminder: ' if told else ''}{orders.ref.project} {orders.ref.version} waits at the gate"
        body = "\n".join([f"What will run: {view.image}", f"Still to decide: {', '.join(missing)}", *view.how_to])
        self._journal.soon(self._journal.try_to(steps.NOTIFY, orders.notice("approvers", f"gate/{told}", title, body)))
