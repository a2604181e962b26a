"""A staging host returns to what it ran before this run staged its candidate there."""

from activities.strategy import Means
from activities.way_back import way_back
from runbook.service import HostToPutBack, RestoredHost, StagingToPutBack, WayBackToRecord


async def returned(means: Means, order: StagingToPutBack) -> RestoredHost:
    """The way back is read off the host: what this run did not make and served last; done already where that serves.

    Raises:
        Refused, Unreachable: as `PuttingBack.make`.
    """
    asked = dict(order)
    found = await way_back(means.engine, WayBackToRecord(**asked))
    return await means.put_back(HostToPutBack(**asked, way_back=found, failed_release=order.ref.release))
