"""A step of the runbook as one value: declared once, read by everything that performs, shows or records it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from temporalio.common import RetryPolicy

from runbook.message import Finding, Order
from runbook.trouble import Trouble

# How long the server leaves a workflow task with a worker that took it: one killed just then holds the run up for so long.
TASK_WITHIN = timedelta(seconds=5)
# How long a fetch of a repository may take. The first one brings all of it, and git goes on with none that was cut short.
FETCH_WITHIN = timedelta(minutes=30)

OrderT = TypeVar("OrderT", bound=Order)
FindingT_co = TypeVar("FindingT_co", bound=Finding, covariant=True)


class Effect(StrEnum):
    """What a step does to the world, which decides what a cancellation must wait for."""

    LOOKS = "looks"
    ADDS = "adds"
    REPLACES = "replaces"


@dataclass(frozen=True, kw_only=True)
class Step(Generic[OrderT, FindingT_co]):
    """One step: `limit` bounds an attempt, `budget` all attempts together (None: the retry policy alone decides).

    `number` is the step's on the page, `stage` what a release is called while it is at this step. `kept`: the ledger has
    a row of each attempt that did or refused something, or was cancelled amid a change.
    """

    name: str
    title: str
    order: type[OrderT]
    finding: type[FindingT_co]
    effect: Effect
    retry: RetryPolicy
    limit: timedelta = timedelta(minutes=2)
    budget: timedelta | None = None
    heartbeat: timedelta = timedelta(seconds=5)
    trouble: Trouble | None = None
    on_board: bool = True
    kept: bool = True
    number: str = ""
    stage: str = ""

    @property
    def changes(self) -> bool:
        """Whether a change may be under way that must end before anything is done about it."""
        return self.effect is not Effect.LOOKS
