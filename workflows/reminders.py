"""Reminders that the server asks for again and again: however long people take, the history does not grow with them."""

import asyncio
import contextlib

from temporalio.exceptions import ActivityError
from temporalio.workflow import unsafe

with unsafe.imports_passed_through():
    from runbook import steps
    from runbook.record import ReminderToSend
    from workflows.performing import perform


class Reminders:
    """What people are reminded of now, if of anything."""

    def __init__(self) -> None:
        self._going_on: asyncio.Task[None] | None = None

    def start(self, order: ReminderToSend) -> None:
        """From now on, instead of what they were reminded of before."""
        self.stop()
        self._going_on = asyncio.create_task(self._sent(order))

    def stop(self) -> None:
        if self._going_on is not None:
            self._going_on.cancel()

    async def _sent(self, order: ReminderToSend) -> None:
        with contextlib.suppress(ActivityError):
            await perform(steps.REMIND, order)
