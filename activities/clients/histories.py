"""Who sent a message to a run, read from the run's own history."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError

from activities.errors import Unreachable
from runbook.sender import IdentifiedSender, SenderToIdentify

_LONGEST = 200
_UNNAMED = "a client that names nobody"  # like Temporal's UI
_PATIENCE = timedelta(seconds=10)


class TemporalHistories:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def sender(self, workflow_id: str, run_id: str, sought: SenderToIdentify) -> IdentifiedSender | None:
        """None when the history has no such message. Raises Unreachable."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            return await _sender(handle.fetch_history_events(rpc_timeout=_PATIENCE), sought)
        except RPCError as error:
            raise Unreachable(
                f"Temporal does not show the history of {workflow_id} ({error.message}); asked again"
            ) from error


async def _sender(events: AsyncIterator[HistoryEvent], sought: SenderToIdentify) -> IdentifiedSender | None:
    seen = 0
    async for event in events:
        if sought.message == "update":
            meta = event.workflow_execution_update_accepted_event_attributes.accepted_request.meta
            if meta.update_id == sought.update_id and meta.update_id:
                return _identified(event, meta.identity)
            continue
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signal = event.workflow_execution_signaled_event_attributes
            seen += signal.signal_name == sought.name
            if seen == sought.number and signal.signal_name == sought.name:
                return _identified(event, signal.identity)
    return None


def _identified(event: HistoryEvent, identity: str) -> IdentifiedSender:
    principal = f"{event.principal.type}:{event.principal.name}" if event.principal.name else ""
    shown = identity[:_LONGEST] or _UNNAMED
    found = IdentifiedSender(identity=shown, principal=principal[:_LONGEST], at=event.event_time.ToDatetime(tzinfo=UTC))
    return found.model_copy(update={"summary": f"sent by {found.told}"[:149]})
