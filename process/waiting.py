"""Which projects' runs need a person, as a metric: asked of Temporal, which knows it whichever worker comes and goes."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import MetricMeter, SearchAttributeKey
from temporalio.service import RPCError

from process.attributes import WAITING
from runbook import names

log = structlog.stdlib.get_logger()

_PROJECT = SearchAttributeKey.for_keyword(names.SEARCH_PROJECT)
_STAGE = SearchAttributeKey.for_keyword(names.SEARCH_STAGE)
_EVERY = timedelta(minutes=1)
# On a new server it takes a moment until the list can be asked for what was just registered.
_AGAIN = timedelta(seconds=5)
_PATIENCE = timedelta(seconds=10)


async def keep_counting(
    client: Client, meter: MetricMeter, projects: Callable[[], Iterable[str]], every: timedelta = _EVERY
) -> None:
    """For each project 1 or 0, apart for the gate, which may take its time, and for steps that can't go on."""
    gauge = meter.create_gauge("runbook_needs_person", "1 while a run of the project needs a person, by where it waits")
    known = set[str]()
    while True:
        pause = every
        try:
            waiting = await _waiting(client)
        except RPCError as error:
            log.debug("can't see which runs need a person", why=error.message)
            pause = min(_AGAIN, every)
        else:
            known |= {*await asyncio.to_thread(projects), *(project for project, _ in waiting)}
            for project, at in itertools.product(known, ("gate", "step")):
                gauge.set(int((project, at) in waiting), {"project": project, "at": at})
        await asyncio.sleep(pause.total_seconds())


async def _waiting(client: Client) -> set[tuple[str, str]]:
    """Each project with where it waits."""
    found = set[tuple[str, str]]()
    async for run in client.list_workflows(WAITING, rpc_timeout=_PATIENCE):
        attributes = run.typed_search_attributes
        at = "gate" if attributes.get(_STAGE) == names.AT_GATE else "step"
        found.add((attributes.get(_PROJECT) or run.id, at))
    return found
