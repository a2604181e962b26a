"""What is said of a container: its last words, without what it was given."""

from typing import Any

import pytest

from activities.clients.engine import Engine
from activities.clients.engine_container import ContainerDetails
from activities.errors import Unreachable
from activities.hosted_service import HostedService
from activities.hosts import HostActivities
from activities.putting_back import PuttingBack
from activities.swap import Swap
from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import LogsToFetch
from tests.activities.host_bench import (
    DATABASE,
    PATIENT,
    SETTLE,
    Bench,
    answered,
    put_back_order,
    ref,
    secret_lines,
    swap_order,
    write_env,
)
from tests.activities.hosting import common
from tests.activities.performing import perform
from tests.activities.returning import recorded

MASKED = "connected to •••"


class Vanishing:
    """An engine on which a container is gone as soon as it was looked at."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def inspect(self, container: str) -> ContainerDetails:
        details = await self._engine.inspect(container)
        await self._engine.stop(details.id, SETTLE)
        await self._engine.remove(details.id)
        return details


class OneHost:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def engine(self, environment: EnvironmentTable, host: str) -> Any:
        return self._engine

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not needed")


async def test_a_log_that_is_fetched_shows_no_value_of_the_env_file(
    bench: Bench, group: HostActivities, environment: EnvironmentTable, new: Image
) -> None:
    write_env(bench.folder, "\n".join(await secret_lines()))
    made = await perform(group.stage, swap_order(environment, new, 10))
    await answered(environment)
    assert f"connected to {DATABASE}" in await bench.engine.logs(made.container_id, 5, str)
    for named in (None, made.container_id):
        found = await perform(group.fetch_logs, LogsToFetch(**common(environment), container_id=named))
        assert "hunter2" not in found.model_dump_json()
        assert MASKED in found.evidence


async def test_what_failed_is_removed_with_its_last_words_but_without_its_secrets(
    bench: Bench, environment: EnvironmentTable, old: Image, new: Image
) -> None:
    await bench.legacy(environment, old)
    back = await recorded(bench, environment)
    await Swap(bench.engine, swap_order(environment, new, 10), secret_lines, SETTLE).make()
    await answered(environment)
    order = put_back_order(bench, environment, 20, back, 10)
    restored = await PuttingBack(bench.engine, order, secret_lines, SETTLE).make()
    assert "hunter2" not in restored.model_dump_json()
    assert MASKED in restored.evidence


async def test_what_ran_before_and_does_not_start_any_more_says_why_but_no_secrets(
    bench: Bench, environment: EnvironmentTable, new: Image
) -> None:
    bad = await bench.pulled("1.0.0", "exits_at_once")
    made = await bench.engine.create(
        HostedService(bench.engine, environment, ref(5), SETTLE).container(
            bad.reference, bad.version, bad.digest, await secret_lines()
        )
    )
    await bench.engine.rename(made, environment.container)
    back = await recorded(bench, environment)
    order = put_back_order(bench, environment, 20, back, 10)
    with pytest.raises(Unreachable, match="does not stay up now") as ended:
        await PuttingBack(bench.engine, order, secret_lines, PATIENT).make()
    assert "hunter2" not in " ".join([str(ended.value), *ended.value.evidence])
    assert "could not connect: •••" in ended.value.evidence


async def test_a_container_that_is_gone_meanwhile_has_no_last_words(
    bench: Bench, environment: EnvironmentTable, old: Image
) -> None:
    engine: Any = Vanishing(bench.engine)
    await bench.legacy(environment, old)
    service = HostedService(engine, environment, ref(10), SETTLE)
    assert await service.last_words(environment.container) == []
    await bench.legacy(environment, old)
    hosts: Any = OneHost(engine)
    found = await perform(HostActivities(hosts, hosts).fetch_logs, LogsToFetch(**common(environment)))
    assert (found.evidence, found.summary) == ([], f"{found.summary.split()[0]} has no container shop")


async def test_an_image_that_is_gone_costs_no_last_words(
    bench: Bench, environment: EnvironmentTable, old: Image
) -> None:
    made = await bench.legacy(environment, old)
    await answered(environment)
    images = bench.engine_app.state.images
    images.remove(images.find(old.pinned).id, force=True, used_by=None)
    said = await HostedService(bench.engine, environment, ref(10), SETTLE).last_words(made)
    assert any("listening on port" in line for line in said)
