"""A drift check: every production host is looked at and compared with what it was left with; what is new is told once."""

from typing import Any

from temporalio import workflow

from runbook import names, steps
from runbook.drift_board import drift_board
from runbook.drift_check import (
    DriftCheckPlan,
    DriftCheckToPlan,
    DriftOrder,
    DriftReport,
    Look,
    compared,
    differences,
    summary_of,
    verdict_of,
)
from runbook.host_orders import HostOrders
from workflows.concurrency import side_by_side
from workflows.drift_display import DriftDisplay
from workflows.drift_telling import DriftTelling
from workflows.failure import StepFailed
from workflows.order import read_order, reference, refused
from workflows.payload import undecoded
from workflows.performing import attempt

_ROUNDS = 3


@workflow.defn(name=names.DRIFT_WORKFLOW)
class DriftWorkflow:
    """It changes nothing on any host, and holds no lane."""

    @workflow.init
    @undecoded
    def __init__(self, *payloads: Any) -> None:
        self.ref = reference(payloads)
        self.display = DriftDisplay(self.ref)

    @workflow.run
    @undecoded
    async def run(self, *payloads: Any) -> DriftReport:
        order = read_order(DriftOrder, payloads)
        _beside_the_lane(self.ref.workflow_id, order.project)
        plan, looks = await self._looked()
        self._report(plan, looks)
        if not plan.under_way:
            await DriftTelling(self.display, HostOrders(self.ref, plan.project), plan).tell()
        return self.display.report

    @workflow.query(name=names.STATUS, description="The whole drift check as JSON")
    def status(self) -> dict[str, Any]:
        return self.display.report.model_dump(mode="json")

    @workflow.query(name=names.BOARD, description="The whole drift check as Markdown")
    def board(self) -> str:
        return drift_board(self.display.report)

    async def _looked(self) -> tuple[DriftCheckPlan, dict[str, Look]]:
        """What the hosts run, and what to compare it with: asked once more where they differ, for a release may have begun."""
        plan = await self._planned()
        for _ in range(_ROUNDS):
            looks = await self._look(plan)
            if not differences(plan, looks):
                return plan, looks
            before, plan = plan, await self._planned()
            if plan.compares_as(before):
                return plan, looks
        looks = await self._look(plan)
        return plan.model_copy(update={"under_way": plan.under_way or "production is being changed"}), looks

    async def _planned(self) -> DriftCheckPlan:
        try:
            plan = await attempt(steps.PLAN_DRIFT_CHECK, DriftCheckToPlan(ref=self.ref))
        except StepFailed as failure:
            raise refused(failure.what) from failure
        self.ref = self.ref.model_copy(update={"version": plan.version})
        self.display.searchable = plan.search_attributes
        return plan

    async def _look(self, plan: DriftCheckPlan) -> dict[str, Look]:
        hosts = plan.project.production.hosts
        orders = HostOrders(self.ref, plan.project)
        return dict(zip(hosts, await side_by_side(_state(orders, host) for host in hosts), strict=True))

    def _report(self, plan: DriftCheckPlan, looks: dict[str, Look]) -> None:
        hosts = compared(plan, looks)
        verdict = verdict_of(hosts)
        self.display.show(
            version=plan.version,
            digest=plan.digest,
            recorded=plan.recorded,
            verdict=verdict,
            summary=summary_of(plan, verdict, hosts),
            under_way=plan.under_way,
            hosts=hosts,
            drifts=[] if plan.under_way else differences(plan, looks),
        )


async def _state(orders: HostOrders, host: str) -> Look:
    """One host that can't be looked at hides none of the others."""
    try:
        return await attempt(steps.INSPECT_HOST, orders.host_to_inspect(host))
    except StepFailed as failure:
        return failure.what


def _beside_the_lane(workflow_id: str, project: str) -> None:
    """In the lane's place it would keep a release from starting; a schedule puts the time behind the name."""
    own = names.drift_check(project)
    if workflow_id != own and not workflow_id.startswith(f"{own}-"):
        raise refused(f"workflow ID {workflow_id!r} is not a drift check's: start it with workflow ID {own!r}")
