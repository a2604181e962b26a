"""A candidate that staging does not bear: people see why, it makes room, and its mending is released over it."""

from typing import Any

import pytest

from runbook import steps
from runbook.status import Outcome
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def on_staging(play: Play) -> dict[str, Any]:
    return {host.name: play.outside.running(host) for host in play.house.facts.having("staging")}


async def test_a_bad_candidate_does_not_lock_out_the_release_that_mends_it(play: Play) -> None:
    before = on_staging(play)
    await play.start(kind="unhealthy")
    status = await play.until(lambda status: status.needs_person)
    assert status.needs[0].step == steps.SMOKE_TEST.name, status.needs[0].what
    await play.house.starter("abort", "shop", "--as", "alice", "--reason", "bad candidate")
    assert (await play.ended()).outcome is Outcome.ABORTED
    assert on_staging(play) == before
    rows = [row for row in play.outside.ledger() if row["version"] == play.version]
    returned = {row["place"] for row in rows if (row["action"], row["outcome"]) == ("put-staging-back", "done")}
    assert returned == {host.address for host in play.house.facts.having("staging")}

    mending = Play(play.house, play.client, play.outside)
    await mending.start()
    await mending.at_gate()
