"""What people see at the gate when it opens, and are told to send."""

from temporalio import workflow

from runbook import names
from runbook.continuation import Candidate
from runbook.orders import Orders
from runbook.status import GateView
from workflows.escalation import how_to_send


def gate_view(orders: Orders, lane: str, candidate: Candidate) -> GateView:
    """An open gate, from now until the project's expiry."""
    policy, project, image = orders.project.gate, orders.ref.project, candidate.image
    signed = policy.allowed_signers is not None
    payload = f'{{"by":"YOU","digest":"{image.digest}","comment":""}}'
    proved = f'{{"by":"YOU","digest":"{image.digest}","signature":"SIGNATURE"}}'
    approve = how_to_send(lane, names.APPROVE, proved if signed else payload)
    by_hand = [
        names.starter("approve", project, "--digest", image.digest, "--sign", "KEY"),
        names.starter("gate", project),
    ]
    return GateView(
        image=image.reference,
        digest=image.digest,
        commit=orders.plan.commit,
        plan=orders.plan.fingerprint,
        needed=policy.approvals,
        approvers=policy.approvers,
        requester_may_approve=policy.requester_may_approve,
        signed=signed,
        policy=policy.policy(),
        opened=workflow.now(),
        expires=workflow.now() + policy.expires_after,
        changelog=candidate.changelog,
        rehearsals=candidate.rehearsals,
        payload=proved if signed else payload,
        how_to=[*(by_hand if signed else []), approve, how_to_send(lane, names.REJECT, payload)],
    )
