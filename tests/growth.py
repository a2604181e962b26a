"""When it is worth asking a run for its status: that follows from its history alone, and each answer is work for a worker."""

from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowHandle


@dataclass
class Growth:
    """`handle` may go on in new runs."""

    handle: WorkflowHandle[Any, Any]
    _seen: tuple[str, int] = ("", 0)

    async def seen(self) -> bool:
        """Whether its history has grown since this was asked last; the first time it has. Costs the server a look."""
        described = await self.handle.describe()
        before, self._seen = self._seen, (described.run_id, described.history_length)
        return self._seen != before
