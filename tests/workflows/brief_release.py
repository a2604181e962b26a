"""A release whose gate goes on in a new run soon, so that a test need not wait for two thousand events."""

from typing import Any

from temporalio import workflow

from runbook import names
from runbook.status import ReleaseResult
from workflows.payload import undecoded
from workflows.release import ReleaseWorkflow

LONGEST = 200
"""Events: some more than a release has when it comes to its gate, so that junk makes it go on and nothing else.

Where the time-skipping server is asked something just when a run goes on in a new one, it forgets the answer and the
end of the run."""


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
