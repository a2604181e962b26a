"""A release that goes on in a new run: when its history has grown long, and what Temporal says of where it came from."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow

from runbook.continuation import Continuation
from workflows.payload import opened


def continuation(payloads: Sequence[Any]) -> Continuation | None:
    """What the run before this one took along; None for a run that somebody started."""
    if workflow.info().continued_run_id is None or _is_started_again():
        return None
    [taken] = opened(payloads)
    return Continuation.model_validate(taken)


def is_long(events: int) -> bool:
    """Whether this run's history has so many events, or as many as the server itself likes to see."""
    info = workflow.info()
    long = info.get_current_history_length() >= events or info.is_continue_as_new_suggested()
    return long and not _is_started_again()


def _is_started_again() -> bool:
    """By a schedule or a retry policy, Temporal starts a run anew with whatever its starter wrote, and names the run before.

    Such a run never continues as new: its successor could not tell what a release took along from what a stranger wrote.
    """
    info = workflow.info()
    return info.cron_schedule is not None or info.retry_policy is not None
