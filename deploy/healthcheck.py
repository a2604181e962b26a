"""`python -m deploy.healthcheck` exits 0 when Temporal has heard from this machine's worker in the last 90 seconds.

It says whether the worker works, not whether it should be ended: a Temporal that is down makes it fail, and a restart of
the worker mends nothing then.
"""

import asyncio
import socket
import sys
import time
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from process.connection import Target, Unconnected, connect
from process.ending import end
from process.polls import ACTIVITIES, polls
from process.settings import BadSettings, StarterSettings, together
from process.telemetry import silent_runtime

_PATIENCE = timedelta(seconds=8)
_HEARD_WITHIN = timedelta(seconds=90)


async def main() -> int:
    try:
        settings, target = together(StarterSettings.read, Target.read)
        client = await connect(target, program="healthcheck", patience=_PATIENCE, runtime=silent_runtime())
        polling = await _polling(client, settings.task_queue)
    except (BadSettings, Unconnected, RPCError) as error:
        print(error, file=sys.stderr)
        return 1
    if not polling:
        print(f"no worker of {socket.gethostname()} polls {settings.task_queue} at {target}", file=sys.stderr)
    return 0 if polling else 1


async def _polling(client: Client, task_queue: str) -> bool:
    heard = await polls(client, task_queue, ACTIVITIES, within=_PATIENCE)
    ours, since = f"worker@{socket.gethostname()}/", time.time() - _HEARD_WITHIN.total_seconds()
    return any(identity.startswith(ours) and at > since for identity, at in heard.items())


if __name__ == "__main__":
    end(asyncio.run(main()))
