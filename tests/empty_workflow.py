"""A workflow that does nothing: what replaying costs before there is anything to replay."""

import json
from datetime import UTC, datetime
from typing import Any

from temporalio import workflow

EMPTY = "(an empty workflow)"
EMPTY_WORKFLOW = "Empty"


@workflow.defn(name=EMPTY_WORKFLOW)
class Empty:
    @workflow.run
    async def run(self) -> None:
        return None


def empty_history() -> str:
    """As Temporal would have written it."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")

    def event(number: int, kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
        name = "".join(part.title() if place else part for place, part in enumerate(kind.lower().split("_")))
        told = {"eventId": str(number), "eventTime": at, "eventType": f"EVENT_TYPE_{kind}"}
        return {**told, f"{name}EventAttributes": attributes}

    queue = {"name": "release-runbook"}
    started = {
        "workflowType": {"name": EMPTY_WORKFLOW},
        "taskQueue": queue,
        "originalExecutionRunId": "1",
        "attempt": 1,
    }
    return json.dumps(
        {
            "events": [
                event(1, "WORKFLOW_EXECUTION_STARTED", started),
                event(2, "WORKFLOW_TASK_SCHEDULED", {"taskQueue": queue, "attempt": 1}),
                event(3, "WORKFLOW_TASK_STARTED", {"scheduledEventId": "2"}),
                event(4, "WORKFLOW_TASK_COMPLETED", {"scheduledEventId": "2", "startedEventId": "3"}),
                event(5, "WORKFLOW_EXECUTION_COMPLETED", {"workflowTaskCompletedEventId": "4"}),
            ]
        }
    )
