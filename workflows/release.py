"""A release, top to bottom as on the runbook page."""

from typing import Any

from temporalio import workflow

from runbook import names, steps
from runbook.commit import ChangelogSection
from runbook.continuation import Candidate
from runbook.message import Finding
from runbook.orders import Orders
from runbook.status import Outcome, ReleaseResult
from runbook.way_back import RanBefore, before_first
from workflows.admission import admit_release
from workflows.build import build
from workflows.concurrency import side_by_side
from workflows.continuation import continuation
from workflows.escalation import Escalation
from workflows.gate import Gate
from workflows.lane import Lane
from workflows.last_look import LastLook
from workflows.order import reference
from workflows.payload import undecoded
from workflows.promotion import Promotion
from workflows.staging import Staging


@workflow.defn(name=names.RELEASE_WORKFLOW)
class ReleaseWorkflow(Lane):
    """One version of one project, from its commit to production."""

    ran_before: RanBefore | None = None

    @workflow.init
    @undecoded
    def __init__(self, *payloads: Any) -> None:
        self.taken = continuation(payloads)
        if self.taken is None:
            self.open("release", reference(payloads))
        else:
            self.open_again(self.taken)
        self.gate = Gate(self.journal, self.taken)

    @workflow.run
    @undecoded
    async def run(self, *payloads: Any) -> ReleaseResult:
        orders = self.taken.orders if self.taken else await self.admitted(admit_release(self, payloads))
        self.escalation = Escalation(self.journal, orders, way_out=self.way_out)
        outcome, summary = await self.conclude(orders, self.release(orders))
        return ReleaseResult(
            outcome=outcome,
            project=orders.ref.project,
            version=orders.plan.version,
            digest=self.journal.status.digest,
            summary=summary,
            approvers=self.approvers,
            ran_before=self.ran_before,
        )

    async def release(self, orders: Orders) -> tuple[Outcome, str]:
        # A gate that waits for long goes on in a new run, which begins there.
        candidate = self.taken.candidate if self.taken else await self.candidate(orders)

        approvers = await self.gate.authorize(orders, candidate)

        return await self.promote(orders, candidate, approvers)

    async def candidate(self, orders: Orders) -> Candidate:
        do = self.waiting.perform

        changelog = await self.prerequisites(orders)

        await do(steps.VERIFY_COMMIT, orders.commit_to_verify())
        await do(steps.TAG, orders.tag_to_push())
        await build(self.waiting, self.journal, orders)

        image = (await do(steps.VERIFY_ARTIFACT, orders.artifact_to_verify())).image
        await do(steps.SCAN, orders.image_to_scan(image))
        async with Staging(self, orders, image) as staging:
            staged = await staging.stage()
            rehearsals = await staging.rehearse(staged)
            for each in staged:
                await staging.smoke_test(each)

        return Candidate(image, changelog, [found.summary for found in rehearsals])

    async def prerequisites(self, orders: Orders) -> str:
        do, staging = self.waiting.perform, orders.project.staging.hosts
        findings: list[Finding] = await side_by_side(
            [
                do(steps.CI_GREEN, orders.commit_to_check()),
                do(steps.CHANGELOG, orders.changelog_to_read()),
                do(steps.VERSION_BUMP, orders.version_files_to_read()),
                do(steps.UAT, orders.uat()),
                *(do(steps.STAGING_HEALTHY, orders.host_to_probe(host)) for host in staging),
                do(steps.CREDENTIALS, orders.credentials_to_prove()),
                do(steps.ON_CALL, orders.on_call_notice()),
            ]
        )
        return "".join(finding.text for finding in findings if isinstance(finding, ChangelogSection))

    async def promote(self, orders: Orders, candidate: Candidate, approvers: list[str]) -> tuple[Outcome, str]:
        do, production, image = self.waiting.perform, orders.project.production, candidate.image

        last_look = LastLook(self, orders, image)

        await side_by_side(do(steps.PULL, orders.image_to_pull(host, image)) for host in production.hosts)
        await last_look.in_hours()
        ways_back = await side_by_side(do(steps.WAY_BACK, orders.way_back_to_record(host)) for host in production.hosts)
        self.ran_before = before_first(ways_back, orders.plan.last_good)

        await last_look.confirm()
        if workflow.patched("on-call-hears-of-the-promotion"):
            self.journal.soon(self.journal.try_to(steps.NOTIFY, orders.promotion_notice(image, approvers)))
        async with Promotion(self, orders, image, ways_back) as promotion:
            for batch in production.batches():
                await promotion.swap(batch)
            await do(steps.RECORD, orders.release_to_record(image, approvers, candidate.changelog, promotion.downtime))
            await promotion.verify()
            await promotion.soak()
            await promotion.record_hosts()

        return Outcome.RELEASED, f"{orders.plan.tag} runs on {', '.join(production.hosts)}"

    def way_out(self) -> str:
        return names.ROLL_BACK if self.promoting else names.ABORT
