"""`python -m deploy.healthcheck` exits 0 when Temporal has heard from this machine's worker in the last 90 seconds.

It says whether the worker works, not whether it should be ended: a Temporal that is down makes it fail, and a restart of
the worker mends nothing then. With `--alive` it says that too: it exits 0 as well where Temporal can't be asked, and where
all that the worker may do at once is under way, so that it asks for no more steps.
"""

import argparse
import asyncio
import socket
import sys
import time
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.service import RPCError

from process.connection import Target, Unconnected, connect
from process.ending import end
from process.polls import ACTIVITIES, WORKFLOWS, polls
from process.settings import BadSettings, StarterSettings, together
from process.telemetry import silent_runtime

_PATIENCE = timedelta(seconds=8)
_HEARD_WITHIN = timedelta(seconds=90)


async def main(*, alive: bool) -> int:
    try:
        settings, target = together(StarterSettings.read, Target.read)
        client = await connect(target, program="healthcheck", patience=_PATIENCE, runtime=silent_runtime())
        kinds = (WORKFLOWS, ACTIVITIES) if alive else (ACTIVITIES,)
        heard = await asyncio.gather(*(_heard(client, settings.task_queue, kind) for kind in kinds))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 1
    except (Unconnected, RPCError) as error:
        print(error, file=sys.stderr)
        return 0 if alive else 1
    if not any(heard):
        print(f"no worker of {socket.gethostname()} polls {settings.task_queue} at {target}", file=sys.stderr)
    return 0 if any(heard) else 1


async def _heard(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> bool:
    heard = await polls(client, task_queue, kind, within=_PATIENCE)
    ours, since = f"worker@{socket.gethostname()}/", time.time() - _HEARD_WITHIN.total_seconds()
    return any(identity.startswith(ours) and at > since for identity, at in heard.items())


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.healthcheck", description=__doc__)
    parser.add_argument("--alive", action="store_true", help="only what a restart of the worker would mend is a fault")
    return parser


if __name__ == "__main__":
    end(asyncio.run(main(alive=arguments().parse_args().alive)))
