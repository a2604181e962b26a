"""A release whose gate goes on in a new run soon, so that a test need not wait for two thousand events."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook import names
    from runbook.status import ReleaseResult
    from workflows.payload import undecoded
    from workflows.release import ReleaseWorkflow

LONGEST = 100
"""Events: fewer than a release has when it comes to its gate, where it goes on in a new run almost at once."""


@workflow.defn(name=names.RELEASE_WORKFLOW)
class BriefRelease(ReleaseWorkflow):
    @workflow.init
    @undecoded
    def __init__(self, *payloads: Any) -> None:
        super().__init__(*payloads)
        self.gate.longest = LONGEST

    @workflow.run
    @undecoded
    async def run(self, *payloads: Any) -> ReleaseResult:
        return await super().run(*payloads)
