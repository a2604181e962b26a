"""The rollback, rehearsed where it costs nothing: the version before is put back, then the candidate deployed again."""

import time

from activities.errors import Refused
from activities.family import Family, Names
from activities.heartbeat import tell
from activities.hosted_service import Answers, HostEngine
from activities.strategy import Means
from runbook.identifier import tag_of
from runbook.service import HostToPutBack, RehearsedRollback, RollbackToRehearse, SwapToMake, WayBack
from runbook.span import spoken
from runbook.trouble import Cause


async def rehearsed(means: Means, order: RollbackToRehearse, answers: Answers) -> RehearsedRollback:
    """Roll back and deploy again; may be killed anywhere, the next attempt rehearses anew.

    Raises:
        Refused: the version before did not answer well again (cause UNHEALTHY); the candidate runs all the same.
        Refused, Unreachable: as `PuttingBack.make` and `Swap.make`.
    """
    back = await _way_back(means.engine, order)
    if back is None:
        return RehearsedRollback(summary=f"{order.host}: nothing ran before, no rollback rehearsed", host=order.host)
    began = time.monotonic()
    await means.put_back(_put_back(order, back))
    tell("waiting for the version before to answer")
    patience = order.environment.health_deadline
    is_well = await answers(patience.total_seconds())
    seconds = round(time.monotonic() - began, 3)
    tell("deploying the candidate again")
    again = await means.swap(_deployment(order), answers)
    told = tag_of(back.version) if back.version else back.container_name
    if not is_well:
        raise Refused(
            f"{order.host}: {told} was put back and did not answer well within {spoken(patience)}: a rollback would not "
            "have helped, repair that before production changes",
            cause=Cause.UNHEALTHY,
        )
    return RehearsedRollback(
        summary=f"{order.host}: rollback rehearsed, {seconds:.1f} s"[:149],
        evidence=[f"{told} answered well after {seconds:.2f} s", again.summary],
        host=order.host,
        seconds=seconds,
    )


async def _way_back(engine: HostEngine, order: RollbackToRehearse) -> WayBack | None:
    own = Names(order.environment.container, order.ref.epoch)
    family = Family.among(await engine.containers(), own, order.ref.project)
    family.refuse_if_fenced(order.host)
    previous = family.with_id(order.previous_id)
    # A swap behind a proxy refuses one that runs and publishes its port: such a one did not run before.
    if previous is None or (order.environment.proxy and not previous.upstream):
        return None
    return WayBack(
        host=order.host,
        container_id=previous.id,
        container_name=own.serving,
        image_id=previous.container.image_id,
        digest=previous.digest or None,
        version=previous.version or None,
    )


def _put_back(order: RollbackToRehearse, back: WayBack) -> HostToPutBack:
    return HostToPutBack(
        ref=order.ref,
        environment=order.environment,
        host=order.host,
        way_back=back,
        artifact=order.artifact,
        failed_release=order.ref.release,
    )


def _deployment(order: RollbackToRehearse) -> SwapToMake:
    return SwapToMake(
        ref=order.ref,
        environment=order.environment,
        host=order.host,
        image=order.image,
        credentials=order.credentials,
    )
