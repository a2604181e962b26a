"""A pull that stops half-way: given up after a while, and ended at once when it is cancelled."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from activities.clients.engine import Engine
from activities.errors import Unreachable
from deploy.sandbox.faults import FaultRule
from runbook.trouble import Cause
from tests.activities.host_bench import ADDRESS, Bench

LAYER = ("GET", "/v2/*/blobs/*")
FIRST_WORD = ("POST", "/images/create")
FOR_EVER = 60


@asynccontextmanager
async def stalling(bench: Bench, method: str, path: str) -> AsyncGenerator[Any]:
    """What is asked for there does not come; gives the faults of the server that keeps it back."""
    app = bench.engine_app if path == FIRST_WORD[1] else bench.registry_app
    app.state.faults.add(FaultRule(match=f"{method} {path}", kind="delay", seconds=FOR_EVER))
    yield app.state.faults
    app.state.faults.clear()


@pytest.mark.parametrize("at", [FIRST_WORD, LAYER], ids=["before its first word", "in a layer"])
async def test_a_cancelled_pull_ends_at_once_though_the_engine_says_nothing(bench: Bench, at: tuple[str, str]) -> None:
    image = await bench.publish("1.0.0")
    engine = await bench.hosts.engine(bench.environment(), ADDRESS)
    async with stalling(bench, *at) as faults:
        pulling = asyncio.create_task(engine.pull(image.repository, image.digest, None))
        async with asyncio.timeout(5):
            while faults.count(*at) == 0:
                await asyncio.sleep(0.01)
        started = time.monotonic()
        pulling.cancel()
        done, _ = await asyncio.wait({pulling}, timeout=5)
        assert done, "its thread is held for ever"
        assert pulling.cancelled()
        assert time.monotonic() - started < 1
    await engine.pull(image.repository, image.digest, None)
    assert await engine.image(image.pinned)


async def test_a_pull_that_is_cancelled_before_it_has_a_connection_makes_none(bench: Bench) -> None:
    image = await bench.publish("1.0.0")
    pulling = asyncio.create_task(bench.engine.pull(image.repository, image.digest, None))
    await asyncio.sleep(0)
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert await bench.engine.image(image.pinned) is None


@pytest.mark.parametrize(
    ("at", "said"), [(FIRST_WORD, "without a word of any layer"), (LAYER, "with 0 of 2 layers there")], ids=["1", "2"]
)
async def test_a_pull_of_which_nothing_is_heard_any_more_is_tried_again(
    bench: Bench, at: tuple[str, str], said: str
) -> None:
    image = await bench.publish("1.0.0")
    hasty = Engine(bench.engine._api, ADDRESS, silence=timedelta(seconds=0.5))
    async with stalling(bench, *at), asyncio.timeout(5):
        with pytest.raises(
            Unreachable, match=f"{ADDRESS} said nothing .* of {image.repository}@sha256.* {said}"
        ) as error:
            await hasty.pull(image.repository, image.digest, None)
    assert error.value.cause == Cause.UNREACHABLE


async def test_a_pull_may_take_longer_than_its_longest_silence(bench: Bench) -> None:
    image = await bench.publish("1.0.0")
    bench.registry_app.state.faults.add(FaultRule(match=" ".join(LAYER), kind="delay", seconds=0.7))
    patient = Engine(bench.engine._api, ADDRESS, silence=timedelta(seconds=1))
    started = time.monotonic()
    await patient.pull(image.repository, image.digest, None)
    assert time.monotonic() - started > 1
