"""One attempt at a host in as many rounds as it takes when others change it meanwhile, and what it leaves when cancelled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from activities.clients.engine_errors import Moved
from activities.errors import StepError
from activities.heartbeat import ended

T = TypeVar("T")

# Somebody else's change between two of our calls makes us look anew, this often in one attempt.
_ROUNDS = 4


async def rounds(once: Callable[[], Awaitable[T]], tidied: Callable[[], Awaitable[None]]) -> T:
    """What `once` gives. When cancelled, it is `tidied` first.

    An attempt that slept, frozen or with its machine, until another one was through is told to stop when it wakes: what
    it has just created nobody needs, and nobody else will see.
    """
    try:
        for _ in range(_ROUNDS - 1):
            with contextlib.suppress(Moved):
                return await once()
        return await once()
    except asyncio.CancelledError:
        with contextlib.suppress(StepError):
            await ended(tidied())
        raise
