"""What an attempt hands on to the next one through its heartbeats, when its worker dies."""

import time
from typing import Any, cast

from temporalio import activity


def handed_on() -> dict[str, Any]:
    """What the attempt before had told, when that was one table; else an empty one."""
    details = activity.info().heartbeat_details
    return cast("dict[str, Any]", details[0]) if details and isinstance(details[0], dict) else {}


def started_at(handed: dict[str, Any]) -> float:
    """When the first attempt started, in seconds since 1970: the clock that every worker has.

    A time in the future is another machine's clock going wrong, and counts as now.
    """
    started = handed.get("started")
    now = time.time()
    return float(started) if isinstance(started, (int, float)) and started <= now else now
