"""A gate that waits while everything around it dies and returns: nothing of it changes, and nothing is written."""

import asyncio

import pytest

from runbook.status import Outcome
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_deaths_of_worker_and_server_while_a_gate_waits_change_nothing(play: Play) -> None:
    commit = await play.start()
    status = await play.at_gate()
    await settled(play)
    before = (await play.handle.describe()).history_length
    assert play.house.worker is not None
    play.house.worker.kill()
    await asyncio.to_thread(play.house.restart_temporal, 1.0)
    await asyncio.to_thread(play.house.start_worker)
    assert (await play.at_gate()).gate == status.gate
    assert (await play.handle.describe()).history_length == before
    await play.approve(status)
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    await play.assert_one_of_everything(commit)


async def settled(play: Play) -> None:
    """Until what goes on beside the gate, like telling the approvers, has ended."""
    last = -1
    while last != (last := (await play.handle.describe()).history_length):
        await asyncio.sleep(2)
