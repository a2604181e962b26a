"""A bare workflow: so many steps that do nothing, one after the other. What the SDK itself takes for a release's number of steps."""

from datetime import timedelta

from temporalio import activity, workflow

SEQUENCE = "Sequence"
_LIMIT = timedelta(seconds=30)


@activity.defn
async def nothing() -> None: ...


@workflow.defn(name=SEQUENCE)
class Sequence:
    @workflow.run
    async def run(self, count: int) -> None:
        for _ in range(count):
            await workflow.execute_activity(nothing, start_to_close_timeout=_LIMIT)
